//! From a syntax tree to a typed one: looks up columns, gives every part its type, and computes what
//! has no columns. The parts' own rules are in `bind/`.

mod calls;
mod operators;

use std::sync::Arc;

use arrow_array::Array;
use arrow_schema::{DataType, Schema, TimeUnit};
use sqlparser::ast::{self, Spanned};
use sqlparser::tokenizer::Span;

use super::coerce::{Mismatch, Typed, unify};
use super::error::{ExprError, Problem};
use super::evaluate::{self, Input};
use super::kernels::cast;
use super::literal;
use super::parse::{Parsed, position};
use super::tree::{Expr, Node};
use super::value::{Faults, Kernel, Value};
use crate::batch::{timestamp_us, type_name};

/// Levels of a tree: evaluation is recursive, and this bounds its stack.
const LEVELS_MAX: usize = 200;

pub(super) fn bind(parsed: &Parsed, schema: &Schema) -> Result<Expr, ExprError> {
    let mut binder = Binder { schema, text: &parsed.text, columns: Vec::new(), level: 0 };
    let typed = binder.bind(&parsed.ast)?;
    if typed.data_type == DataType::Null {
        let message = "NULL alone has no type; write CAST(NULL AS ...) with the type you mean";
        return Err(binder.error(Problem::Type(message.to_owned()), typed.span));
    }
    let mut columns = binder.columns;
    columns.sort_unstable();
    columns.dedup();
    Ok(Expr {
        node: typed.node,
        data_type: typed.data_type,
        nullable: typed.nullable,
        columns,
        text: Arc::clone(&parsed.text),
    })
}

struct Binder<'a> {
    schema: &'a Schema,
    text: &'a Arc<str>,
    columns: Vec<usize>,
    level: usize,
}

type Bound = Result<Typed, ExprError>;

impl Binder<'_> {
    fn error(&self, problem: Problem, span: Span) -> ExprError {
        ExprError::new(problem, position(span), self.text)
    }

    fn unsupported(&self, what: &str, expr: &ast::Expr) -> ExprError {
        self.error(Problem::Unsupported(format!("{what} is not supported here: `{expr}`")), expr.span())
    }

    fn mismatch(&self, mismatch: Mismatch) -> ExprError {
        self.error(Problem::Type(mismatch.message), mismatch.span)
    }

    fn bind(&mut self, expr: &ast::Expr) -> Bound {
        self.level += 1;
        if self.level > LEVELS_MAX {
            let message = format!(
                "the expression has more than {LEVELS_MAX} levels: use IN for long chains of OR, or several steps"
            );
            // No place is given: to find it would recurse through all levels.
            return Err(ExprError::new(Problem::TooLarge(message), None, self.text));
        }
        let bound = self.bind_part(expr);
        self.level -= 1;
        bound
    }

    fn bind_part(&mut self, expr: &ast::Expr) -> Bound {
        use ast::Expr as E;
        match expr {
            E::Nested(inner) => self.bind(inner),
            E::Identifier(ident) => self.column(ident),
            E::Value(value) => self.value(value, expr),
            E::TypedString(typed) => self.typed_string(typed, expr),
            E::BinaryOp { left, op, right } => self.binary(left, op, right, expr),
            E::UnaryOp { op, expr: inner } => self.unary(*op, inner, expr),
            E::IsNull(_)
            | E::IsNotNull(_)
            | E::IsTrue(_)
            | E::IsNotTrue(_)
            | E::IsFalse(_)
            | E::IsNotFalse(_)
            | E::IsUnknown(_)
            | E::IsNotUnknown(_) => self.test(expr),
            E::IsDistinctFrom(left, right) => self.distinct(left, right, true, expr),
            E::IsNotDistinctFrom(left, right) => self.distinct(left, right, false, expr),
            E::Between { expr: inner, negated, low, high } => self.between(inner, low, high, *negated, expr),
            E::InList { expr: inner, list, negated } => self.in_list(inner, list, *negated, expr),
            E::Like { .. } | E::ILike { .. } => self.like(expr),
            E::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), expr)
            }
            E::Cast { kind, expr: inner, data_type, format: None } => self.cast(kind, inner, data_type, expr),
            _ => self.call(expr),
        }
    }

    fn column(&mut self, ident: &ast::Ident) -> Bound {
        let fields = self.schema.fields();
        let exact = fields.iter().position(|field| *field.name() == ident.value);
        let found = exact.or_else(|| {
            let alike = |name: &str| ident.quote_style.is_none() && name.eq_ignore_ascii_case(&ident.value);
            let mut alike = fields.iter().enumerate().filter(|(_, field)| alike(field.name()));
            match (alike.next(), alike.next()) {
                (Some((index, _)), None) => Some(index),
                _ => None,
            }
        });
        let Some(index) = found else {
            let known = fields.iter().map(|field| field.name().clone()).collect();
            return Err(self.error(Problem::UnknownColumn { name: ident.value.clone(), known }, ident.span));
        };
        let field = &fields[index];
        let data_type = field.data_type().clone();
        self.columns.push(index);
        let name: Arc<str> = field.name().as_str().into();
        Ok(Typed {
            node: Node::Column { index, name, data_type: data_type.clone() },
            data_type,
            nullable: field.is_nullable(),
            adaptable: false,
            span: ident.span,
            text: ident.to_string().into(),
        })
    }

    fn value(&self, value: &ast::ValueWithSpan, expr: &ast::Expr) -> Bound {
        let array = match &value.value {
            ast::Value::Number(digits, _) => literal::number(digits)
                .map_err(|message| self.error(Problem::Literal(message), value.span))?,
            ast::Value::SingleQuotedString(text) | ast::Value::EscapedStringLiteral(text) => {
                literal::text(text)
            }
            ast::Value::Boolean(value) => literal::boolean(*value),
            ast::Value::Null => literal::null(&DataType::Null),
            _ => return Err(self.unsupported("this kind of literal", expr)),
        };
        Ok(Typed::literal(array, true, value.span, expr.to_string().into()))
    }

    fn typed_string(&self, typed: &ast::TypedString, expr: &ast::Expr) -> Bound {
        let data_type = self.data_type(&typed.data_type, expr)?;
        let Some(text) = typed.value.clone().into_string() else {
            return Err(self.unsupported("this kind of literal", expr));
        };
        if !matches!(data_type, DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _)) {
            return Err(self.unsupported("a literal with this type", expr));
        }
        let array = literal::moment(&text, &data_type)
            .map_err(|message| self.error(Problem::Literal(message), typed.value.span))?;
        Ok(Typed::literal(array, false, typed.value.span, expr.to_string().into()))
    }

    /// The engine's type for one of SQL's, or one written by the engine's own name.
    fn data_type(&self, data_type: &ast::DataType, expr: &ast::Expr) -> Result<DataType, ExprError> {
        let name = data_type.to_string().to_lowercase();
        Ok(match name.as_str() {
            "boolean" | "bool" => DataType::Boolean,
            "int32" | "int" | "integer" | "int4" => DataType::Int32,
            "int64" | "bigint" | "int8" => DataType::Int64,
            "float32" | "real" | "float4" => DataType::Float32,
            "float64" | "double" | "double precision" | "float8" | "float" => DataType::Float64,
            "utf8" | "text" | "varchar" | "string" | "character varying" => DataType::Utf8,
            "binary" | "bytea" | "varbinary" | "blob" | "bytes" => DataType::Binary,
            "date" => DataType::Date32,
            "timestamp" | "timestamptz" | "timestamp with time zone" => timestamp_us(),
            _ => {
                let message = format!(
                    "there is no type `{data_type}` here; there are boolean, int32, int64, float32, float64, \
                     utf8, binary, date, timestamp"
                );
                return Err(self.error(Problem::Type(message), expr.span()));
            }
        })
    }

    fn cast(
        &mut self,
        kind: &ast::CastKind,
        inner: &ast::Expr,
        to: &ast::DataType,
        expr: &ast::Expr,
    ) -> Bound {
        let to = self.data_type(to, expr)?;
        let inner = self.bind(inner)?;
        if let Some(message) = cast::refusal(&inner.data_type, &to) {
            return Err(self.error(Problem::Type(message), inner.span));
        }
        if inner.data_type == DataType::Null {
            let null = literal::null(&to);
            return Ok(Typed::literal(null, false, inner.span, expr.to_string().into()));
        }
        if inner.data_type == to {
            return Ok(Typed { adaptable: false, ..inner });
        }
        let tries = matches!(kind, ast::CastKind::TryCast | ast::CastKind::SafeCast);
        let nullable = inner.nullable || (tries && cast::can_fail(&inner.data_type, &to));
        let kernel = if tries { cast::try_cast(&to) } else { cast::cast(&to) };
        let built = self.apply(kernel, vec![inner], to, expr)?;
        Ok(Typed { nullable, ..built })
    }

    /// A call that is NULL only where an argument is.
    fn apply(&self, kernel: Kernel, arguments: Vec<Typed>, data_type: DataType, expr: &ast::Expr) -> Bound {
        let nullable = arguments.iter().any(|argument| argument.nullable);
        let text: Arc<str> = expr.to_string().into();
        let arguments = arguments.into_iter().map(|argument| argument.node).collect();
        let node = Node::Call { kernel, arguments, text: Arc::clone(&text) };
        self.fold(Typed { node, data_type, nullable, adaptable: false, span: expr.span(), text })
    }

    /// Computes a part that has no columns.
    fn fold(&self, typed: Typed) -> Bound {
        if !typed.node.is_constant() || typed.node.literal().is_some() {
            return Ok(typed);
        }
        let mut faults = Faults::default();
        let value = evaluate::run(&typed.node, &Input { columns: &[], rows: 1 }, &mut faults);
        let fails = |reason: String| self.error(Problem::AlwaysFails(reason), typed.span);
        if let Some(fault) = faults.finish().into_iter().next() {
            return Err(fails(fault.to_string()));
        }
        let value = value.map_err(|error| fails(error.to_string()))?;
        let (Value::Column(array) | Value::Scalar(array)) = value;
        let nullable = array.null_count() > 0;
        Ok(Typed { node: Node::Literal(array), nullable, ..typed })
    }

    /// Refuses what is not boolean; NULL is an unknown boolean.
    fn boolean(&self, typed: Typed, what: &str) -> Bound {
        if !matches!(typed.data_type, DataType::Boolean | DataType::Null) {
            let message = format!(
                "{what} takes boolean, and `{}` is {}; compare it with something",
                typed.text,
                type_name(&typed.data_type)
            );
            return Err(self.error(Problem::Type(message), typed.span));
        }
        typed.expect(&DataType::Boolean, what).map_err(|mismatch| self.mismatch(mismatch))
    }

    /// Gives parts one type; only NULLs become boolean NULLs, whose type matters to nobody.
    fn unify(&self, parts: Vec<Typed>, what: &str) -> Result<(Vec<Typed>, DataType), ExprError> {
        let (parts, data_type) = unify(parts, what).map_err(|mismatch| self.mismatch(mismatch))?;
        if let Some(part) = parts.first().filter(|_| !supported(&data_type)) {
            let message = format!("{what} cannot take {}", type_name(&data_type));
            return Err(self.error(Problem::Type(message), part.span));
        }
        Ok((parts, data_type))
    }
}

/// The types that a pipeline can hold, and NULL.
fn supported(data_type: &DataType) -> bool {
    use DataType::{Binary, Boolean, Date32, Float32, Float64, Int32, Int64, Null, Utf8};
    matches!(data_type, Boolean | Int32 | Int64 | Float32 | Float64 | Utf8 | Binary | Date32 | Null)
        || *data_type == timestamp_us()
}
