//! Which type several parts have together: numbers widen, plain literals adapt to what they stand
//! beside, and nothing else moves without a CAST.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use sqlparser::tokenizer::Span;

use super::kernels::cast;
use super::literal;
use super::tree::Node;
use crate::batch::type_name;

/// A part of an expression with its type.
#[derive(Clone)]
pub(super) struct Typed {
    pub(super) node: Node,
    /// `Null` for a NULL whose type is not yet known.
    pub(super) data_type: DataType,
    pub(super) nullable: bool,
    /// Whether it is a number or text as written, which takes the type of what it stands beside.
    pub(super) adaptable: bool,
    pub(super) span: Span,
    /// The part, for messages.
    pub(super) text: Arc<str>,
}

/// Why parts have no type together.
pub(super) struct Mismatch {
    pub(super) message: String,
    pub(super) span: Span,
}

impl Typed {
    pub(super) fn literal(array: ArrayRef, adaptable: bool, span: Span, text: Arc<str>) -> Self {
        let (data_type, nullable) = (array.data_type().clone(), array.logical_null_count() > 0);
        Self { node: Node::Literal(array), data_type, nullable, adaptable, span, text }
    }

    pub(super) fn literal_text(&self) -> Option<&str> {
        self.node.literal().and_then(literal::as_text)
    }

    /// The part as another type: one that it widens to, or any for NULL and what fits of a literal.
    fn widened(self, to: &DataType) -> Self {
        if self.data_type == *to {
            return self;
        }
        let node = match self.node {
            Node::Literal(_) if self.data_type == DataType::Null => Node::Literal(literal::null(to)),
            Node::Literal(array) => match arrow_cast::cast(&array, to) {
                Ok(array) => Node::Literal(array),
                Err(_) => Node::Literal(literal::null(to)),
            },
            node => Node::Call {
                kernel: cast::cast(to),
                arguments: vec![node],
                text: format!("CAST({} AS {})", self.text, type_name(to)).into(),
            },
        };
        Self { node, data_type: to.clone(), ..self }
    }

    /// The part as a type that an argument has; NULL fits everywhere.
    pub(super) fn expect(self, to: &DataType, what: &str) -> Result<Self, Mismatch> {
        let fits = match common(&self.data_type, to) {
            Some(common) => common == *to,
            None => false,
        };
        let shrinks = self.adaptable && is_number(to) && adapted(&self, to) == *to;
        if fits || shrinks || self.data_type == DataType::Null {
            return Ok(self.widened(to));
        }
        let message = format!(
            "{what} takes {}, and `{}` is {}{}",
            type_name(to),
            self.text,
            type_name(&self.data_type),
            hint(&self, to)
        );
        Err(Mismatch { message, span: self.span })
    }
}

/// Gives all parts one type. With only NULLs it is `Null`.
pub(super) fn unify(parts: Vec<Typed>, what: &str) -> Result<(Vec<Typed>, DataType), Mismatch> {
    let mut parts = parts;
    let mut leader: Option<usize> = None;
    let mut target = DataType::Null;
    // What has a type of its own decides before literals adapt.
    for adaptable in [false, true] {
        for (i, part) in parts.iter().enumerate().filter(|(_, part)| part.adaptable == adaptable) {
            let wanted = if adaptable { adapted(part, &target) } else { part.data_type.clone() };
            target = match common(&target, &wanted) {
                Some(common) => common,
                None => return Err(mismatch(&parts[leader.unwrap_or(i)], &parts[i], what)),
            };
            if part.data_type != DataType::Null && leader.is_none() {
                leader = Some(i);
            }
        }
    }
    for part in &mut parts {
        if is_moment(&target)
            && part.adaptable
            && let Some(text) = part.literal_text()
        {
            let array =
                literal::moment(text, &target).map_err(|message| Mismatch { message, span: part.span })?;
            *part = Typed::literal(array, false, part.span, Arc::clone(&part.text));
        }
    }
    Ok((parts.into_iter().map(|part| part.widened(&target)).collect(), target))
}

/// The type that a literal takes beside another.
fn adapted(part: &Typed, beside: &DataType) -> DataType {
    match (&part.data_type, beside) {
        (DataType::Int64 | DataType::Float64, DataType::Float32) => DataType::Float32,
        (DataType::Int64, DataType::Int32) if fits_int32(part) => DataType::Int32,
        (DataType::Utf8, to) if is_moment(to) => to.clone(),
        (own, _) => own.clone(),
    }
}

fn fits_int32(part: &Typed) -> bool {
    part.node.literal().is_some_and(|array| i32::try_from(array.as_primitive::<Int64Type>().value(0)).is_ok())
}

pub(super) fn is_number(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int32 | DataType::Int64 | DataType::Float32 | DataType::Float64)
}

pub(super) fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _))
}

/// The least type that both widen to.
fn common(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{Float64, Int32, Int64, Null};
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (Null, other) | (other, Null) => Some(other.clone()),
        (Int32, Int64) | (Int64, Int32) => Some(Int64),
        (a, b) if is_number(a) && is_number(b) => Some(Float64),
        _ => None,
    }
}

fn mismatch(first: &Typed, second: &Typed, what: &str) -> Mismatch {
    let message = format!(
        "{what} needs one type, and `{}` is {} while `{}` is {}{}",
        first.text,
        type_name(&first.data_type),
        second.text,
        type_name(&second.data_type),
        hint(second, &first.data_type)
    );
    Mismatch { message, span: second.span }
}

/// The CAST that would make a part fit, if there is one; TEXT is what everything can become.
fn hint(part: &Typed, to: &DataType) -> String {
    match cast::refusal(&part.data_type, to) {
        None => format!("; write CAST({} AS {})", part.text, type_name(to)),
        Some(_) => String::new(),
    }
}
