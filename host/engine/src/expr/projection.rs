//! Named expressions that make new rows, for `select`.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema, SchemaRef};

use super::error::{EvalError, ExprError, Problem, RowFault};
use super::evaluate::broken;
use super::tree::Expr;

/// Name and expression that stand for all columns of the input, in order.
const ALL: &str = "*";

/// The columns of a result, in order.
#[derive(Clone, Debug)]
pub struct Projection {
    schema: SchemaRef,
    exprs: Vec<Expr>,
}

/// What a projection makes of a batch.
#[derive(Clone, Debug)]
pub struct Projected {
    /// The rows in order, without those at fault.
    pub rows: RecordBatch,
    /// The rows that have no value for some column, in order, one entry a row.
    pub faults: Vec<RowFault>,
}

impl Projection {
    /// Compiles the columns, given as name and expression. The name `*` with the expression `*` stands
    /// for all columns of the input that have no entry of their own.
    ///
    /// # Errors
    /// When an expression is wrong, or two columns have one name.
    pub fn new(columns: Vec<(String, String)>, input: &Schema) -> Result<Self, ExprError> {
        let own: HashSet<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let (mut fields, mut exprs) = (Vec::new(), Vec::new());
        for (name, text) in &columns {
            if name == ALL && text.trim() == ALL {
                for (index, field) in input.fields().iter().enumerate() {
                    if !own.contains(field.name().as_str()) {
                        fields.push(Arc::clone(field));
                        exprs.push(Expr::column(index, input));
                    }
                }
                continue;
            }
            let expr = Expr::compile(text, input)?;
            let field = Field::new(name, expr.data_type().clone(), expr.nullable());
            let metadata = expr.pass_through().map(|index| input.field(index).metadata().clone());
            fields.push(Arc::new(field.with_metadata(metadata.unwrap_or_default())));
            exprs.push(expr);
        }
        let mut names = HashSet::new();
        if let Some(i) = fields.iter().position(|field| !names.insert(field.name().as_str())) {
            let problem = Problem::DuplicateName(fields[i].name().clone());
            return Err(ExprError::new(problem, None, &exprs[i].text));
        }
        Ok(Self { schema: Arc::new(Schema::new(fields)), exprs })
    }

    /// The columns of these expressions, which were compiled against one schema.
    #[must_use]
    pub fn from_exprs(columns: Vec<(String, Expr)>) -> Self {
        let field =
            |(name, expr): &(String, Expr)| Field::new(name, expr.data_type().clone(), expr.nullable());
        let fields: Vec<Field> = columns.iter().map(field).collect();
        let exprs = columns.into_iter().map(|(_, expr)| expr).collect();
        Self { schema: Arc::new(Schema::new(fields)), exprs }
    }

    /// The schema of the result.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The expressions, one a column of the result.
    #[must_use]
    pub fn exprs(&self) -> &[Expr] {
        &self.exprs
    }

    /// Columns of the result that are a column of the input unchanged: index in the result and in the
    /// input. An event time that is among them survives.
    pub fn pass_through(&self) -> impl Iterator<Item = (usize, usize)> {
        self.exprs.iter().enumerate().filter_map(|(output, expr)| Some((output, expr.pass_through()?)))
    }

    /// Computes the columns. Columns that pass through are not copied unless rows are at fault.
    ///
    /// # Errors
    /// When the batch is not of the schema.
    pub fn apply(&self, batch: &RecordBatch) -> Result<Projected, EvalError> {
        let mut arrays = Vec::with_capacity(self.exprs.len());
        let mut faults: Vec<RowFault> = Vec::new();
        for expr in &self.exprs {
            let evaluated = expr.evaluate(batch)?;
            arrays.push(evaluated.array);
            faults.extend(evaluated.faults);
        }
        let wrong = |error| broken(&"select".into(), &error);
        let mut rows = batch.num_rows();
        if !faults.is_empty() {
            faults.sort_by_key(|fault| fault.row);
            faults.dedup_by_key(|fault| fault.row);
            let mut good = vec![true; rows];
            for fault in &faults {
                if let Some(slot) = good.get_mut(fault.row as usize) {
                    *slot = false;
                }
            }
            let good = BooleanArray::from(good);
            rows = good.true_count();
            for array in &mut arrays {
                *array = arrow_select::filter::filter(array, &good).map_err(wrong)?;
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let rows =
            RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).map_err(wrong)?;
        Ok(Projected { rows, faults })
    }
}
