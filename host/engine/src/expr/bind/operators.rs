//! The rules of operators, of CASE and of what SQL writes with words.

use std::sync::Arc;

use arrow_arith::boolean;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use sqlparser::ast::{self, BinaryOperator, Spanned, UnaryOperator};

use super::{Binder, Bound};
use crate::batch::{timestamp_us, type_name};
use crate::expr::coerce::{Typed, is_moment, is_number};
use crate::expr::error::{ExprError, Problem};
use crate::expr::kernels::arithmetic::{self, Operation};
use crate::expr::kernels::compare::{self, Comparison};
use crate::expr::kernels::logic;
use crate::expr::kernels::pattern::{self, Case};
use crate::expr::kernels::shift::{self, Interval};
use crate::expr::literal;
use crate::expr::tree::Node;
use crate::expr::value::{Args, Kernel, Value};

/// Literals in an IN list from which hashing beats comparing with each.
const HASHED_ITEMS_MIN: usize = 8;

impl Binder<'_> {
    pub(super) fn binary(
        &mut self,
        left: &ast::Expr,
        operator: &BinaryOperator,
        right: &ast::Expr,
        expr: &ast::Expr,
    ) -> Bound {
        if let Some(comparison) = comparison(operator) {
            let (left, right) = (self.bind(left)?, self.bind(right)?);
            return self.compare(comparison, left, right, expr);
        }
        if let Some(operation) = operation(operator) {
            return self.arithmetic(operation, left, right, expr);
        }
        match operator {
            BinaryOperator::And => self.connect("AND", Node::And, left, right, expr),
            BinaryOperator::Or => self.connect("OR", Node::Or, left, right, expr),
            BinaryOperator::StringConcat => self.function("||", &[left, right], expr),
            BinaryOperator::PGRegexMatch => self.regex(left, right, Case::Sensitive, false, expr),
            BinaryOperator::PGRegexIMatch => self.regex(left, right, Case::Ignored, false, expr),
            BinaryOperator::PGRegexNotMatch => self.regex(left, right, Case::Sensitive, true, expr),
            BinaryOperator::PGRegexNotIMatch => self.regex(left, right, Case::Ignored, true, expr),
            _ => Err(self.unsupported(&format!("the operator {operator}"), expr)),
        }
    }

    fn connect(
        &mut self,
        name: &str,
        node: fn(Box<Node>, Box<Node>) -> Node,
        left: &ast::Expr,
        right: &ast::Expr,
        expr: &ast::Expr,
    ) -> Bound {
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        let (left, right) = (self.boolean(left, name)?, self.boolean(right, name)?);
        self.fold(Typed {
            nullable: left.nullable || right.nullable,
            node: node(Box::new(left.node), Box::new(right.node)),
            data_type: DataType::Boolean,
            adaptable: false,
            span: expr.span(),
            text: expr.to_string().into(),
        })
    }

    pub(super) fn compare(
        &self,
        comparison: Comparison,
        left: Typed,
        right: Typed,
        expr: &ast::Expr,
    ) -> Bound {
        let (parts, data_type) = self.unify(vec![left, right], "a comparison")?;
        let never_null = matches!(comparison, Comparison::Distinct | Comparison::NotDistinct);
        if data_type == DataType::Null {
            let value = match comparison {
                Comparison::Distinct => literal::boolean(false),
                Comparison::NotDistinct => literal::boolean(true),
                _ => literal::null(&DataType::Boolean),
            };
            return Ok(Typed::literal(value, false, expr.span(), expr.to_string().into()));
        }
        let built = self.apply(compare::kernel(comparison), parts, DataType::Boolean, expr)?;
        Ok(Typed { nullable: built.nullable && !never_null, ..built })
    }

    fn arithmetic(
        &mut self,
        operation: Operation,
        left: &ast::Expr,
        right: &ast::Expr,
        expr: &ast::Expr,
    ) -> Bound {
        match (left, right, operation) {
            (ast::Expr::Interval(by), moment, Operation::Add)
            | (moment, ast::Expr::Interval(by), Operation::Add) => {
                let by = self.interval(by)?;
                return self.shifted(moment, by, expr);
            }
            (moment, ast::Expr::Interval(by), Operation::Subtract) => {
                let at = by.value.span();
                let by = self.interval(by)?.negated().ok_or_else(|| {
                    self.error(Problem::Literal("this interval is too long".to_owned()), at)
                })?;
                return self.shifted(moment, by, expr);
            }
            _ => {}
        }
        let parts = vec![self.bind(left)?, self.bind(right)?];
        if let Some(part) =
            parts.iter().find(|part| !is_number(&part.data_type) && part.data_type != DataType::Null)
        {
            let message = format!(
                "arithmetic takes numbers, and `{}` is {}{}",
                part.text,
                type_name(&part.data_type),
                match &part.data_type {
                    DataType::Utf8 => format!("; write CAST({} AS float64), or || to join text", part.text),
                    other if is_moment(other) =>
                        "; add INTERVAL '5 minutes' and the like, or subtract epoch(...) of both".to_owned(),
                    _ => String::new(),
                }
            );
            return Err(self.error(Problem::Type(message), part.span));
        }
        self.numbers(operation, parts, expr)
    }

    /// An operation on parts that are numbers or NULL.
    pub(super) fn numbers(&self, operation: Operation, parts: Vec<Typed>, expr: &ast::Expr) -> Bound {
        let adaptable = parts.iter().all(|part| part.adaptable);
        let (parts, data_type) = self.unify(parts, "arithmetic")?;
        if data_type == DataType::Null {
            let null = literal::null(&DataType::Null);
            return Ok(Typed::literal(null, true, expr.span(), expr.to_string().into()));
        }
        let built = self.apply(arithmetic::kernel(operation, &data_type), parts, data_type, expr)?;
        Ok(Typed { adaptable, ..built })
    }

    fn interval(&self, interval: &ast::Interval) -> Result<Interval, ExprError> {
        let at = interval.value.span();
        let text = match interval.value.as_ref() {
            ast::Expr::Value(value) => match &value.value {
                ast::Value::SingleQuotedString(text) | ast::Value::Number(text, _) => text.clone(),
                _ => return Err(self.error(Problem::Literal("an interval is a literal".to_owned()), at)),
            },
            _ => return Err(self.error(Problem::Literal("an interval is a literal".to_owned()), at)),
        };
        let text = match (&interval.leading_field, &interval.last_field) {
            (None, _) => text,
            (Some(unit), None) => format!("{text} {unit}"),
            (Some(_), Some(_)) => {
                let message = "an interval has one unit after it, or its units in the text".to_owned();
                return Err(self.error(Problem::Literal(message), at));
            }
        };
        literal::interval(&text).map_err(|message| self.error(Problem::Literal(message), at))
    }

    fn shifted(&mut self, moment: &ast::Expr, by: Interval, expr: &ast::Expr) -> Bound {
        let moment = self.bind(moment)?;
        let moment = self.moment(moment, "adding an interval")?;
        self.apply(shift::shift(by), vec![moment], timestamp_us(), expr)
    }

    pub(super) fn unary(&mut self, operator: UnaryOperator, inner: &ast::Expr, expr: &ast::Expr) -> Bound {
        match operator {
            UnaryOperator::Not => {
                let inner = self.bind(inner)?;
                let inner = self.boolean(inner, "NOT")?;
                self.apply(logic::not(), vec![inner], DataType::Boolean, expr)
            }
            UnaryOperator::Plus | UnaryOperator::Minus => self.signed(operator, inner, expr),
            _ => Err(self.unsupported(&format!("the operator {operator}"), expr)),
        }
    }

    fn signed(&mut self, operator: UnaryOperator, inner: &ast::Expr, expr: &ast::Expr) -> Bound {
        if let (UnaryOperator::Minus, ast::Expr::Value(value)) = (operator, inner) {
            // The least int64 has no positive counterpart, so the sign belongs to the literal.
            if let ast::Value::Number(digits, _) = &value.value {
                let array = literal::number(&format!("-{digits}"))
                    .map_err(|message| self.error(Problem::Literal(message), value.span))?;
                return Ok(Typed::literal(array, true, value.span, expr.to_string().into()));
            }
        }
        let inner = self.bind(inner)?;
        if inner.data_type == DataType::Null {
            return Ok(inner);
        }
        if !is_number(&inner.data_type) {
            let found = type_name(&inner.data_type);
            let message = format!("{operator} takes a number, and `{}` is {found}", inner.text);
            return Err(self.error(Problem::Type(message), inner.span));
        }
        if operator == UnaryOperator::Plus {
            return Ok(inner);
        }
        let (adaptable, data_type) = (inner.adaptable, inner.data_type.clone());
        let built = self.apply(arithmetic::negate(&data_type), vec![inner], data_type, expr)?;
        Ok(Typed { adaptable, ..built })
    }

    /// `IS NULL` and its like, which are never NULL.
    pub(super) fn test(&mut self, expr: &ast::Expr) -> Bound {
        use ast::Expr as E;
        let negate = |kernel: Kernel| -> Kernel {
            Arc::new(move |args, faults| {
                let found = kernel(args, faults)?;
                Ok(Arc::new(boolean::not(found.as_boolean())?))
            })
        };
        let (inner, kernel, logical) = match expr {
            E::IsNull(inner) => (inner, logic::is_null(), false),
            E::IsNotNull(inner) => (inner, logic::is_not_null(), false),
            E::IsUnknown(inner) => (inner, logic::is_null(), true),
            E::IsNotUnknown(inner) => (inner, logic::is_not_null(), true),
            E::IsTrue(inner) => (inner, logic::is(true), true),
            E::IsNotTrue(inner) => (inner, negate(logic::is(true)), true),
            E::IsFalse(inner) => (inner, logic::is(false), true),
            E::IsNotFalse(inner) => (inner, negate(logic::is(false)), true),
            _ => return Err(self.unsupported("this test", expr)),
        };
        let mut inner = self.bind(inner)?;
        if logical {
            inner = self.boolean(inner, "this test")?;
        }
        let built = self.apply(kernel, vec![inner], DataType::Boolean, expr)?;
        Ok(Typed { nullable: false, ..built })
    }

    pub(super) fn distinct(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        distinct: bool,
        expr: &ast::Expr,
    ) -> Bound {
        let (left, right) = (self.bind(left)?, self.bind(right)?);
        let comparison = if distinct { Comparison::Distinct } else { Comparison::NotDistinct };
        self.compare(comparison, left, right, expr)
    }

    pub(super) fn between(
        &mut self,
        inner: &ast::Expr,
        low: &ast::Expr,
        high: &ast::Expr,
        negated: bool,
        expr: &ast::Expr,
    ) -> Bound {
        let parts = vec![self.bind(inner)?, self.bind(low)?, self.bind(high)?];
        let (parts, data_type) = self.unify(parts, "BETWEEN")?;
        if data_type == DataType::Null {
            let null = literal::null(&DataType::Boolean);
            return Ok(Typed::literal(null, false, expr.span(), expr.to_string().into()));
        }
        let kernel: Kernel = Arc::new(move |args, _| {
            let [value, low, high] = args.values else {
                unreachable!("BETWEEN is built with three arguments")
            };
            let value = compare::ordered(&Value::Column(value.clone().into_column(args.rows)?));
            let above = arrow_ord::cmp::gt_eq(&value, &compare::ordered(low))?;
            let below = arrow_ord::cmp::lt_eq(&value, &compare::ordered(high))?;
            let within = boolean::and_kleene(&above, &below)?;
            Ok(Arc::new(if negated { boolean::not(&within)? } else { within }))
        });
        self.apply(kernel, parts, DataType::Boolean, expr)
    }

    pub(super) fn in_list(
        &mut self,
        inner: &ast::Expr,
        list: &[ast::Expr],
        negated: bool,
        expr: &ast::Expr,
    ) -> Bound {
        let mut parts = vec![self.bind(inner)?];
        for item in list {
            parts.push(self.bind(item)?);
        }
        let (mut parts, data_type) = self.unify(parts, "IN")?;
        if data_type == DataType::Null {
            let null = literal::null(&DataType::Boolean);
            return Ok(Typed::literal(null, false, expr.span(), expr.to_string().into()));
        }
        let nullable = parts.iter().any(|part| part.nullable);
        let literals: Option<Vec<_>> =
            parts[1..].iter().map(|part| part.node.literal().map(Arc::clone)).collect();
        let set = literals
            .filter(|items| items.len() >= HASHED_ITEMS_MIN)
            .and_then(|items| compare::is_in_set(&items));
        let kernel = match set {
            Some(kernel) => {
                parts.truncate(1);
                kernel
            }
            None => compare::is_in(),
        };
        let built = self.apply(negated_if(negated, kernel), parts, DataType::Boolean, expr)?;
        Ok(Typed { nullable, ..built })
    }

    pub(super) fn like(&mut self, expr: &ast::Expr) -> Bound {
        use ast::Expr as E;
        let (case, negated, inner, pattern, escape) = match expr {
            E::Like { negated, any: false, expr: inner, pattern, escape_char } => {
                (Case::Sensitive, *negated, inner, pattern, escape_char)
            }
            E::ILike { negated, any: false, expr: inner, pattern, escape_char } => {
                (Case::Ignored, *negated, inner, pattern, escape_char)
            }
            _ => return Err(self.unsupported("LIKE ANY", expr)),
        };
        let escape = self.escape(escape.as_deref())?;
        let (inner, pattern) = (self.bind(inner)?, self.bind(pattern)?);
        let inner = inner.expect(&DataType::Utf8, "LIKE").map_err(|mismatch| self.mismatch(mismatch))?;
        let pattern = pattern.expect(&DataType::Utf8, "LIKE").map_err(|mismatch| self.mismatch(mismatch))?;
        if let Some(text) = pattern.literal_text() {
            let kernel = pattern::like(text, escape, case)
                .map_err(|message| self.error(Problem::Literal(message), pattern.span))?;
            return self.apply(negated_if(negated, kernel), vec![inner], DataType::Boolean, expr);
        }
        if escape != Some('\\') && pattern.node.literal().is_none() {
            let message = "ESCAPE needs a pattern that is a literal".to_owned();
            return Err(self.error(Problem::Arguments(message), pattern.span));
        }
        let kernel = negated_if(negated, pattern::like_column(case));
        self.apply(kernel, vec![inner, pattern], DataType::Boolean, expr)
    }

    /// The escape character: a backslash unless another is named, none for the empty text.
    fn escape(&self, escape: Option<&ast::Expr>) -> Result<Option<char>, ExprError> {
        let Some(escape) = escape else { return Ok(Some('\\')) };
        if let ast::Expr::Value(value) = escape
            && let ast::Value::SingleQuotedString(text) = &value.value
        {
            let mut chars = text.chars();
            if let (first, None) = (chars.next(), chars.next()) {
                return Ok(first);
            }
        }
        let message = format!("ESCAPE takes one character, like '!', and not {escape}");
        Err(self.error(Problem::Literal(message), escape.span()))
    }

    fn regex(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        case: Case,
        negated: bool,
        expr: &ast::Expr,
    ) -> Bound {
        let (inner, pattern) = (self.bind(left)?, self.bind(right)?);
        let inner = inner
            .expect(&DataType::Utf8, "a regular expression")
            .map_err(|mismatch| self.mismatch(mismatch))?;
        let Some(text) = pattern.literal_text() else {
            let message = "a regular expression must be a text literal".to_owned();
            return Err(self.error(Problem::Arguments(message), pattern.span));
        };
        let regex = pattern::regex(text, case == Case::Ignored)
            .map_err(|message| self.error(Problem::Literal(message), pattern.span))?;
        let kernel = negated_if(negated, pattern::matches(regex));
        self.apply(kernel, vec![inner], DataType::Boolean, expr)
    }

    pub(super) fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&ast::Expr>,
        expr: &ast::Expr,
    ) -> Bound {
        let operand = operand.map(|operand| self.bind(operand)).transpose()?;
        let (mut whens, mut results) = (Vec::new(), Vec::new());
        for branch in conditions {
            let when = self.bind(&branch.condition)?;
            whens.push(match &operand {
                Some(operand) => {
                    self.compare(Comparison::Equal, operand.clone(), when, &branch.condition)?.node
                }
                None => self.boolean(when, "WHEN")?.node,
            });
            results.push(self.bind(&branch.result)?);
        }
        results.push(match otherwise {
            Some(otherwise) => self.bind(otherwise)?,
            None => Typed::literal(literal::null(&DataType::Null), true, expr.span(), "NULL".into()),
        });
        let nullable = results.iter().any(|result| result.nullable);
        let (mut results, data_type) = self.unify(results, "CASE")?;
        let Some(otherwise) = results.pop() else {
            unreachable!("the result without a condition was pushed above")
        };
        if data_type == DataType::Null {
            return Ok(otherwise);
        }
        let branches = whens.into_iter().zip(results.into_iter().map(|result| result.node)).collect();
        self.fold(Typed {
            node: Node::Case { branches, otherwise: Box::new(otherwise.node) },
            data_type,
            nullable,
            adaptable: false,
            span: expr.span(),
            text: expr.to_string().into(),
        })
    }
}

fn comparison(operator: &BinaryOperator) -> Option<Comparison> {
    Some(match operator {
        BinaryOperator::Eq => Comparison::Equal,
        BinaryOperator::NotEq => Comparison::NotEqual,
        BinaryOperator::Lt => Comparison::Less,
        BinaryOperator::LtEq => Comparison::LessOrEqual,
        BinaryOperator::Gt => Comparison::Greater,
        BinaryOperator::GtEq => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn operation(operator: &BinaryOperator) -> Option<Operation> {
    Some(match operator {
        BinaryOperator::Plus => Operation::Add,
        BinaryOperator::Minus => Operation::Subtract,
        BinaryOperator::Multiply => Operation::Multiply,
        BinaryOperator::Divide => Operation::Divide,
        BinaryOperator::Modulo => Operation::Remainder,
        _ => return None,
    })
}

fn negated_if(negated: bool, kernel: Kernel) -> Kernel {
    if !negated {
        return kernel;
    }
    Arc::new(move |args: &Args<'_>, faults| {
        let found = kernel(args, faults)?;
        Ok(Arc::new(boolean::not(found.as_boolean())?))
    })
}
