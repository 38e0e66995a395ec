//! The typed tree of an expression. Only parts that must not compute everything eagerly have a node
//! of their own; all others are calls of a kernel.

use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};

use super::error::{EvalError, ExprError, RowFault};
use super::evaluate;
use super::parse::Parsed;
use super::value::{Faults, Kernel};

/// An expression that is typed and can be evaluated on batches of the schema it was typed against.
#[derive(Clone)]
pub struct Expr {
    pub(super) node: Node,
    pub(super) data_type: DataType,
    pub(super) nullable: bool,
    pub(super) columns: Vec<usize>,
    pub(super) text: Arc<str>,
}

/// The values of an expression on a batch.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// One entry a row; NULL where the row is at fault, even when the expression is not nullable.
    pub array: ArrayRef,
    /// Rows that have no value, by row number, one entry a row.
    pub faults: Vec<RowFault>,
}

#[derive(Clone)]
pub(super) enum Node {
    Column {
        index: usize,
        name: Arc<str>,
        data_type: DataType,
    },
    /// One row.
    Literal(ArrayRef),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Case {
        branches: Vec<(Node, Node)>,
        otherwise: Box<Node>,
    },
    /// Never empty.
    Coalesce(Vec<Node>),
    Call {
        kernel: Kernel,
        arguments: Vec<Node>,
        text: Arc<str>,
    },
}

impl Expr {
    /// Parses and types an expression.
    ///
    /// # Errors
    /// When the text is no SQL expression, or does not fit the schema.
    pub fn compile(text: &str, schema: &Schema) -> Result<Self, ExprError> {
        Parsed::new(text)?.bind(schema)
    }

    /// A column of the schema, unchanged.
    #[must_use]
    pub fn column(index: usize, schema: &Schema) -> Self {
        let field = schema.field(index);
        let text: Arc<str> = field.name().as_str().into();
        let data_type = field.data_type().clone();
        Self {
            node: Node::Column { index, name: Arc::clone(&text), data_type: data_type.clone() },
            data_type,
            nullable: field.is_nullable(),
            columns: vec![index],
            text,
        }
    }

    /// The type of the values.
    #[must_use]
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Whether a value can be NULL in a row that is not at fault.
    #[must_use]
    pub fn nullable(&self) -> bool {
        self.nullable
    }

    /// The text that this was compiled from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The columns it reads, as ascending indices into the schema.
    #[must_use]
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// The column that the expression is, unchanged, as an index into the schema.
    #[must_use]
    pub fn pass_through(&self) -> Option<usize> {
        match &self.node {
            Node::Column { index, .. } => Some(*index),
            _ => None,
        }
    }

    /// Computes the values for all rows. A column that is passed through is not copied.
    ///
    /// # Errors
    /// When the batch is not of the schema that the expression was typed against. Rows without a value
    /// are no error; they are part of the answer.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<Evaluated, EvalError> {
        let rows = batch.num_rows();
        let input = evaluate::Input { columns: batch.columns(), rows };
        let mut faults = Faults::default();
        let value = evaluate::run(&self.node, &input, &mut faults)?;
        let array = value.into_column(rows).map_err(|error| evaluate::broken(&self.text, &error))?;
        let faults = faults.finish();
        let array =
            evaluate::without(array, &faults).map_err(|error| evaluate::broken(&self.text, &error))?;
        Ok(Evaluated { array, faults })
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expr")
            .field("text", &self.text)
            .field("data_type", &self.data_type)
            .field("nullable", &self.nullable)
            .finish_non_exhaustive()
    }
}

impl Node {
    pub(super) fn literal(&self) -> Option<&ArrayRef> {
        match self {
            Self::Literal(array) => Some(array),
            _ => None,
        }
    }

    /// Whether all parts right under this one are literals.
    pub(super) fn is_constant(&self) -> bool {
        let constant = |node: &Self| node.literal().is_some();
        match self {
            Self::Column { .. } => false,
            Self::Literal(_) => true,
            Self::And(left, right) | Self::Or(left, right) => constant(left) && constant(right),
            Self::Case { branches, otherwise } => {
                constant(otherwise) && branches.iter().all(|(when, then)| constant(when) && constant(then))
            }
            Self::Coalesce(nodes) | Self::Call { arguments: nodes, .. } => nodes.iter().all(constant),
        }
    }
}
