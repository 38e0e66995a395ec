//! Calls: functions by name, and those that SQL gives a syntax of their own, like
//! `SUBSTRING(s FROM 2 FOR 3)`, which are the same functions in other words.

use arrow_schema::DataType;
use sqlparser::ast::{self, Spanned};

use super::{Binder, Bound, supported};
use crate::batch::{timestamp_us, type_name};
use crate::expr::coerce::{Typed, is_moment, is_number};
use crate::expr::error::{ExprError, Problem, nearest};
use crate::expr::functions::{self, Argument, Function, Parameter};
use crate::expr::kernels::arithmetic::Operation;
use crate::expr::kernels::compare::{self, Comparison};
use crate::expr::kernels::{cast, logic};
use crate::expr::literal;
use crate::expr::parse::arguments;
use crate::expr::tree::Node;

impl Binder<'_> {
    /// A function in any of SQL's forms, or what is not supported at all.
    pub(super) fn call(&mut self, expr: &ast::Expr) -> Bound {
        use ast::Expr as E;
        match expr {
            E::Function(function) => self.named(function, expr),
            E::Ceil {
                expr: inner,
                field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime),
            } => self.function("ceil", &[inner], expr),
            E::Floor {
                expr: inner,
                field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime),
            } => self.function("floor", &[inner], expr),
            E::Position { expr: needle, r#in: text } => self.function("strpos", &[text, needle], expr),
            E::Substring { expr: inner, substring_from, substring_for, .. } => {
                let one = number(1);
                let start = match (substring_from, substring_for) {
                    (None, Some(_)) => Some(&one),
                    (start, _) => start.as_deref(),
                };
                let mut given: Vec<&ast::Expr> = vec![inner];
                given.extend(start);
                given.extend(substring_for.as_deref());
                self.function("substr", &given, expr)
            }
            E::Trim { expr: inner, trim_where, trim_what, trim_characters } => {
                let name = match trim_where {
                    Some(ast::TrimWhereField::Leading) => "ltrim",
                    Some(ast::TrimWhereField::Trailing) => "rtrim",
                    Some(ast::TrimWhereField::Both) | None => "trim",
                };
                let mut given: Vec<&ast::Expr> = vec![inner];
                given.extend(trim_what.as_deref());
                given.extend(trim_characters.iter().flatten());
                self.function(name, &given, expr)
            }
            E::Extract { field, expr: inner, .. } => {
                let field = text(&field.to_string());
                self.function("date_part", &[&field, inner], expr)
            }
            E::Interval(_) => {
                Err(self.unsupported("an interval that is not added to or subtracted from a timestamp", expr))
            }
            E::Subquery(_) | E::InSubquery { .. } | E::Exists { .. } => {
                Err(self.unsupported("a query inside an expression", expr))
            }
            E::CompoundIdentifier(_) => Err(self
                .unsupported("a qualified name (a name with a dot in it is written in double quotes)", expr)),
            _ => Err(self.unsupported("this kind of expression", expr)),
        }
    }

    fn named(&mut self, function: &ast::Function, expr: &ast::Expr) -> Bound {
        let (distinct, given) = arguments(function)
            .map_err(|what| self.error(Problem::Unsupported(what.to_owned()), function.span()))?;
        if distinct {
            return Err(self.unsupported("DISTINCT", expr));
        }
        let given = given.into_iter().map(|argument| match argument {
            ast::FunctionArgExpr::Expr(argument) => Ok(argument),
            _ => Err(self.unsupported("`*` as an argument", expr)),
        });
        let given = given.collect::<Result<Vec<_>, _>>()?;
        self.function(&function.name.to_string().to_lowercase(), &given, expr)
    }

    /// A function by its name in lower case.
    pub(super) fn function(&mut self, name: &str, given: &[&ast::Expr], expr: &ast::Expr) -> Bound {
        let special = functions::SPECIAL.iter().find(|special| special.name == name);
        let function = functions::find(name);
        let Some((signature, required, most)) = special
            .map(|special| (special.signature, special.required, special.most))
            .or_else(|| function.map(|function| (function.signature, function.required, function.most())))
        else {
            return Err(self.unknown(name, expr));
        };
        if given.len() < required || given.len() > most {
            let count = given.len();
            let message = format!("`{name}` was given {count} arguments; it is written {signature}");
            return Err(self.error(Problem::Arguments(message), expr.span()));
        }
        let parts = given.iter().map(|argument| self.bind(argument)).collect::<Result<Vec<_>, _>>()?;
        match function {
            Some(function) => self.tabled(function, parts, expr),
            None => self.special(name, parts, expr),
        }
    }

    fn unknown(&self, name: &str, expr: &ast::Expr) -> ExprError {
        const AGGREGATES: [&str; 8] = ["count", "sum", "avg", "min", "max", "mean", "first", "last"];
        if AGGREGATES.contains(&name) {
            return self.unsupported("an aggregate outside of an aggregate step", expr);
        }
        let nearest = nearest(name, functions::names());
        self.error(Problem::UnknownFunction { name: name.to_owned(), nearest }, expr.span())
    }

    /// Functions whose type depends on all arguments together.
    fn special(&mut self, name: &str, parts: Vec<Typed>, expr: &ast::Expr) -> Bound {
        match name {
            "coalesce" => self.coalesce(parts, expr),
            "nullif" => self.null_if(parts, expr),
            "greatest" => self.extreme(Comparison::Greater, parts, expr),
            "least" => self.extreme(Comparison::Less, parts, expr),
            _ => {
                for part in &parts {
                    self.number(part, "mod")?;
                }
                self.numbers(Operation::Remainder, parts, expr)
            }
        }
    }

    fn coalesce(&mut self, parts: Vec<Typed>, expr: &ast::Expr) -> Bound {
        let nullable = parts.iter().all(|part| part.nullable);
        let (parts, data_type) = self.unify(parts, "COALESCE")?;
        let node = Node::Coalesce(parts.into_iter().map(|part| part.node).collect());
        let text = expr.to_string().into();
        self.fold(Typed { node, data_type, nullable, adaptable: false, span: expr.span(), text })
    }

    fn null_if(&mut self, mut parts: Vec<Typed>, expr: &ast::Expr) -> Bound {
        let (Some(right), Some(left)) = (parts.pop(), parts.pop()) else {
            unreachable!("the number of arguments was checked")
        };
        if left.data_type == DataType::Null {
            return Ok(left);
        }
        let equal = self.compare(Comparison::Equal, left.clone(), right, expr)?;
        let data_type = left.data_type.clone();
        let built = self.apply(logic::null_if(), vec![left, equal], data_type, expr)?;
        Ok(Typed { nullable: true, ..built })
    }

    fn extreme(&mut self, comparison: Comparison, parts: Vec<Typed>, expr: &ast::Expr) -> Bound {
        let nullable = parts.iter().all(|part| part.nullable);
        let (parts, data_type) = self.unify(parts, "this")?;
        if data_type == DataType::Null {
            let null = literal::null(&DataType::Null);
            return Ok(Typed::literal(null, true, expr.span(), expr.to_string().into()));
        }
        let built = self.apply(compare::extreme(comparison), parts, data_type, expr)?;
        Ok(Typed { nullable, ..built })
    }

    fn tabled(&mut self, function: &Function, parts: Vec<Typed>, expr: &ast::Expr) -> Bound {
        let mut arguments = Vec::with_capacity(parts.len());
        for (i, part) in parts.into_iter().enumerate() {
            arguments.push(self.argument(function, function.parameter(i), part)?);
        }
        let described: Vec<Argument<'_>> = arguments
            .iter()
            .map(|argument| Argument { data_type: &argument.data_type, literal: argument.node.literal() })
            .collect();
        let built = (function.build)(&described)
            .map_err(|message| self.error(Problem::Arguments(message), expr.span()))?;
        drop(described);
        let nullable = match built.nulls {
            functions::Nulls::Passed => arguments.iter().any(|argument| argument.nullable),
            functions::Nulls::Never => false,
            functions::Nulls::Made => true,
        };
        let applied = self.apply(built.kernel, arguments, built.data_type, expr)?;
        Ok(Typed { nullable, ..applied })
    }

    fn argument(&self, function: &Function, parameter: Parameter, part: Typed) -> Bound {
        let name = function.name;
        let exactly =
            |to: DataType| part.clone().expect(&to, name).map_err(|mismatch| self.mismatch(mismatch));
        match parameter {
            Parameter::Text => exactly(DataType::Utf8),
            Parameter::Integer => exactly(DataType::Int64),
            Parameter::Double => exactly(DataType::Float64),
            Parameter::Moment => self.moment(part, name),
            Parameter::Number if part.data_type == DataType::Null => exactly(DataType::Int64),
            Parameter::Number => {
                self.number(&part, name)?;
                Ok(part)
            }
            Parameter::Literal if part.literal_text().is_some() => Ok(part),
            Parameter::Literal => {
                let message = format!(
                    "`{}` must be a text literal here; `{name}` is written {}",
                    part.text, function.signature
                );
                Err(self.error(Problem::Arguments(message), part.span))
            }
            Parameter::TextOrBytes if part.data_type == DataType::Binary => Ok(part),
            Parameter::TextOrBytes => exactly(DataType::Utf8),
            Parameter::Shown if part.data_type == DataType::Utf8 => Ok(part),
            Parameter::Shown => self.shown(part, name),
        }
    }

    /// Anything that has a text, as text.
    fn shown(&self, part: Typed, name: &str) -> Bound {
        if part.data_type == DataType::Null || !supported(&part.data_type) {
            return part.expect(&DataType::Utf8, name).map_err(|mismatch| self.mismatch(mismatch));
        }
        if let Some(message) = cast::refusal(&part.data_type, &DataType::Utf8) {
            return Err(self.error(Problem::Type(message), part.span));
        }
        let nullable = part.nullable;
        let (span, text) = (part.span, part.text.clone());
        let node = Node::Call {
            kernel: cast::cast(&DataType::Utf8),
            arguments: vec![part.node],
            text: format!("CAST({text} AS utf8)").into(),
        };
        self.fold(Typed { node, data_type: DataType::Utf8, nullable, adaptable: false, span, text })
    }

    fn number(&self, part: &Typed, name: &str) -> Result<(), ExprError> {
        if is_number(&part.data_type) || part.data_type == DataType::Null {
            return Ok(());
        }
        let found = type_name(&part.data_type);
        let hint = match part.data_type {
            DataType::Utf8 => format!("; write CAST({} AS float64)", part.text),
            _ => String::new(),
        };
        let message = format!("{name} takes a number, and `{}` is {found}{hint}", part.text);
        Err(self.error(Problem::Type(message), part.span))
    }

    /// A timestamp; a date means its first moment.
    pub(super) fn moment(&self, part: Typed, what: &str) -> Bound {
        let to = timestamp_us();
        if part.data_type == to || !is_moment(&part.data_type) {
            return part.expect(&to, what).map_err(|mismatch| self.mismatch(mismatch));
        }
        let nullable = part.nullable;
        let (span, text) = (part.span, part.text.clone());
        let node = Node::Call {
            kernel: cast::cast(&to),
            arguments: vec![part.node],
            text: format!("CAST({text} AS timestamp)").into(),
        };
        self.fold(Typed { node, data_type: to, nullable, adaptable: false, span, text })
    }
}

fn number(value: u8) -> ast::Expr {
    ast::Expr::value(ast::Value::Number(value.to_string(), false))
}

fn text(value: &str) -> ast::Expr {
    ast::Expr::value(ast::Value::SingleQuotedString(value.to_owned()))
}
