//! Runs a tree on a batch. Parts that SQL reads from left to right compute all rows of each part, as
//! kernels do, and then forget the faults of rows in which the part did not decide.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{ArrowError, DataType};

use super::error::{EvalError, RowFault};
use super::tree::Node;
use super::value::{Args, Faults, Value};
use crate::batch::type_name;

/// The columns to run on.
pub(super) struct Input<'a> {
    pub(super) columns: &'a [ArrayRef],
    pub(super) rows: usize,
}

pub(super) fn run(node: &Node, input: &Input<'_>, faults: &mut Faults) -> Result<Value, EvalError> {
    match node {
        Node::Column { index, name, data_type } => column(input, *index, name, data_type),
        Node::Literal(array) => Ok(Value::Scalar(Arc::clone(array))),
        Node::And(left, right) => connect(&AND, left, right, input, faults),
        Node::Or(left, right) => connect(&OR, left, right, input, faults),
        Node::Case { branches, otherwise } => case(branches, otherwise, input, faults),
        Node::Coalesce(nodes) => coalesce(nodes, input, faults),
        Node::Call { kernel, arguments, text } => {
            let values =
                arguments.iter().map(|node| run(node, input, faults)).collect::<Result<Vec<_>, _>>()?;
            let array = kernel(&Args { values: &values, rows: input.rows, text }, faults)
                .map_err(|error| broken(text, &error))?;
            Ok(Value::Column(array))
        }
    }
}

/// An error of a kernel, which typing should have made impossible.
pub(super) fn broken(expression: &Arc<str>, error: &ArrowError) -> EvalError {
    EvalError::Kernel { expression: Arc::clone(expression), message: error.to_string() }
}

/// The array with NULL in the rows that are at fault.
pub(super) fn without(array: ArrayRef, faults: &[RowFault]) -> Result<ArrayRef, ArrowError> {
    if faults.is_empty() {
        return Ok(array);
    }
    let mut faulty = vec![false; array.len()];
    for fault in faults {
        if let Some(slot) = faulty.get_mut(fault.row as usize) {
            *slot = true;
        }
    }
    arrow_select::nullif::nullif(&array, &BooleanArray::from(faulty))
}

fn column(
    input: &Input<'_>,
    index: usize,
    name: &Arc<str>,
    data_type: &DataType,
) -> Result<Value, EvalError> {
    match input.columns.get(index) {
        Some(array) if array.data_type() == data_type => Ok(Value::Column(Arc::clone(array))),
        other => Err(EvalError::Schema {
            column: name.to_string(),
            expected: type_name(data_type),
            found: other.map_or_else(|| "missing".to_owned(), |array| type_name(array.data_type())),
        }),
    }
}

/// What differs between AND and OR.
struct Connective {
    name: &'static str,
    /// The value that decides alone.
    decisive: bool,
    kernel: fn(&BooleanArray, &BooleanArray) -> Result<BooleanArray, ArrowError>,
}

const AND: Connective = Connective { name: "AND", decisive: false, kernel: arrow_arith::boolean::and_kleene };
const OR: Connective = Connective { name: "OR", decisive: true, kernel: arrow_arith::boolean::or_kleene };

fn connect(
    connective: &Connective,
    left: &Node,
    right: &Node,
    input: &Input<'_>,
    faults: &mut Faults,
) -> Result<Value, EvalError> {
    let wrong = |error: ArrowError| broken(&connective.name.into(), &error);
    let left = run(left, input, faults)?.into_boolean(input.rows).map_err(wrong)?;
    let decided = if connective.decisive { left.true_count() } else { left.false_count() };
    if decided == input.rows {
        return Ok(Value::Column(Arc::new(left)));
    }
    let mark = faults.mark();
    let right = run(right, input, faults)?.into_boolean(input.rows).map_err(wrong)?;
    faults.retain_since(mark, |row| left.is_null(row) || left.value(row) != connective.decisive);
    Ok(Value::Column(Arc::new((connective.kernel)(&left, &right).map_err(wrong)?)))
}

fn case(
    branches: &[(Node, Node)],
    otherwise: &Node,
    input: &Input<'_>,
    faults: &mut Faults,
) -> Result<Value, EvalError> {
    let wrong = |error: ArrowError| broken(&"CASE".into(), &error);
    let mut open = BooleanBuffer::new_set(input.rows);
    let mut taken = Vec::with_capacity(branches.len());
    for (when, then) in branches {
        let mark = faults.mark();
        let when = run(when, input, faults)?.into_boolean(input.rows).map_err(wrong)?;
        faults.retain_since(mark, |row| open.value(row));
        let holds = &truth(&when) & &open;
        let mark = faults.mark();
        let then = run(then, input, faults)?;
        faults.retain_since(mark, |row| holds.value(row));
        open = &open & &!&holds;
        taken.push((BooleanArray::new(holds, None), then));
    }
    let mark = faults.mark();
    let mut result = run(otherwise, input, faults)?;
    faults.retain_since(mark, |row| open.value(row));
    for (holds, then) in taken.into_iter().rev() {
        result = Value::Column(arrow_select::zip::zip(&holds, &then, &result).map_err(wrong)?);
    }
    Ok(result)
}

fn coalesce(nodes: &[Node], input: &Input<'_>, faults: &mut Faults) -> Result<Value, EvalError> {
    let wrong = |error: ArrowError| broken(&"COALESCE".into(), &error);
    let mut nodes = nodes.iter();
    let Some(first) = nodes.next() else {
        return Err(wrong(ArrowError::ComputeError("no arguments".into())));
    };
    let mut result = run(first, input, faults)?;
    for node in nodes {
        if result.array().null_count() == 0 {
            break;
        }
        let column = result.into_column(input.rows).map_err(wrong)?;
        let found = arrow_arith::boolean::is_not_null(&column).map_err(wrong)?;
        let mark = faults.mark();
        let next = run(node, input, faults)?;
        faults.retain_since(mark, |row| !found.value(row));
        result = Value::Column(arrow_select::zip::zip(&found, &column, &next).map_err(wrong)?);
    }
    // A kernel that got nothing but single values would give one row, so this is a column in any case.
    Ok(Value::Column(result.into_column(input.rows).map_err(wrong)?))
}

/// The rows that are TRUE, so neither FALSE nor NULL.
pub(super) fn truth(array: &BooleanArray) -> BooleanBuffer {
    match array.nulls() {
        Some(nulls) => array.values() & nulls.inner(),
        None => array.values().clone(),
    }
}
