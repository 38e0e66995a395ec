//! From text to a syntax tree: one expression, or one call as aggregates are written. The dialect is
//! PostgreSQL's: its grammar and precedence are documented, `::` and `ILIKE` are in it, and a
//! backslash in a string is a backslash.

use std::sync::Arc;

use arrow_schema::Schema;
use sqlparser::ast::{self, Spanned};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use super::bind;
use super::error::{ExprError, Position, Problem};
use super::tree::Expr;

/// Bytes of an expression; more is a table and belongs in a join.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Words and operators of an expression. Chains of operators become trees as deep as the chain is
/// long, and the parser's own tree is freed recursively: this bounds the stack that takes.
const WORDS_MAX: usize = 1_000;

/// An expression that is SQL, not yet typed.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub(super) text: Arc<str>,
    pub(super) ast: ast::Expr,
}

impl Parsed {
    /// Parses one expression.
    ///
    /// # Errors
    /// When the text is no SQL expression or is too large.
    pub fn new(text: &str) -> Result<Self, ExprError> {
        let text: Arc<str> = text.into();
        let tokens = tokens(&text)?;
        let mut parser = Parser::new(&PostgreSqlDialect {}).with_tokens_with_locations(tokens);
        let ast = parser.parse_expr().map_err(|error| syntax(&text, &error))?;
        let rest = parser.peek_token();
        if rest.token != Token::EOF {
            let message = format!("it should end before `{}`", rest.token);
            return Err(ExprError::new(Problem::Syntax(message), position(rest.span), &text));
        }
        Ok(Self { text, ast })
    }

    /// Types the expression against the columns it will be evaluated on.
    ///
    /// # Errors
    /// When a column or function is unknown, types do not go together, or a part always fails.
    pub fn bind(&self, schema: &Schema) -> Result<Expr, ExprError> {
        bind::bind(self, schema)
    }

    /// The whole text that this was parsed from; for an argument of a [`Call`], the text of the call.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// One call of a function, as aggregates are written: `sum(price * 2)`, `count(*)`,
/// `count(DISTINCT user)`. The name is not looked up here.
#[derive(Clone, Debug)]
pub struct Call {
    /// The function, in lower case.
    pub name: String,
    /// Whether `DISTINCT` was written.
    pub distinct: bool,
    /// Whether the only argument is `*`; `arguments` is empty then.
    pub star: bool,
    /// The arguments.
    pub arguments: Vec<Parsed>,
}

impl Call {
    /// Parses one call.
    ///
    /// # Errors
    /// When the text is no expression, or an expression that is more or other than one call.
    pub fn parse(text: &str) -> Result<Self, ExprError> {
        let parsed = Parsed::new(text)?;
        let unfit = |what: &str, at: Span| {
            let message = format!("{what}: write one call, like `sum(price * 2)` or `count(*)`");
            ExprError::new(Problem::Unsupported(message), position(at), &parsed.text)
        };
        let ast::Expr::Function(function) = &parsed.ast else {
            return Err(unfit("this is no call of a function", parsed.ast.span()));
        };
        let (distinct, arguments) = arguments(function).map_err(|what| unfit(what, function.span()))?;
        let star = arguments == [&ast::FunctionArgExpr::Wildcard];
        let arguments = if star { Vec::new() } else { arguments };
        let arguments = arguments.into_iter().map(|argument| match argument {
            ast::FunctionArgExpr::Expr(ast) => {
                Ok(Parsed { text: Arc::clone(&parsed.text), ast: ast.clone() })
            }
            _ => Err(unfit("`*` stands alone", function.span())),
        });
        Ok(Self {
            name: function.name.to_string().to_lowercase(),
            distinct,
            star,
            arguments: arguments.collect::<Result<_, _>>()?,
        })
    }
}

/// The arguments of a call in plain form, and whether `DISTINCT` was written.
pub(super) fn arguments(
    function: &ast::Function,
) -> Result<(bool, Vec<&ast::FunctionArgExpr>), &'static str> {
    if function.over.is_some() {
        return Err("OVER is not supported");
    }
    if function.filter.is_some() || !function.within_group.is_empty() || function.null_treatment.is_some() {
        return Err("clauses after a call are not supported");
    }
    if !matches!(function.parameters, ast::FunctionArguments::None) {
        return Err("a second list of arguments is not supported");
    }
    let list = match &function.args {
        ast::FunctionArguments::None => return Ok((false, Vec::new())),
        ast::FunctionArguments::Subquery(_) => return Err("queries inside an expression are not supported"),
        ast::FunctionArguments::List(list) => list,
    };
    if !list.clauses.is_empty() {
        return Err("clauses among arguments are not supported");
    }
    let distinct = matches!(list.duplicate_treatment, Some(ast::DuplicateTreatment::Distinct));
    let plain = list.args.iter().map(|argument| match argument {
        ast::FunctionArg::Unnamed(argument) => Ok(argument),
        _ => Err("arguments have no names here"),
    });
    Ok((distinct, plain.collect::<Result<_, _>>()?))
}

/// Where a span begins, unless the parser does not know.
pub(super) fn position(span: Span) -> Option<Position> {
    place(span.start)
}

fn place(location: Location) -> Option<Position> {
    let number = |n: u64| usize::try_from(n).ok().filter(|n| *n > 0);
    Some(Position { line: number(location.line)?, column: number(location.column)? })
}

fn tokens(text: &Arc<str>) -> Result<Vec<TokenWithSpan>, ExprError> {
    let large = |message| Err(ExprError::new(Problem::TooLarge(message), None, text));
    if text.len() > TEXT_BYTES_MAX {
        let bytes = text.len();
        return large(format!("the expression has {bytes} bytes, the most is {TEXT_BYTES_MAX}: use a join"));
    }
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, text)
        .tokenize_with_location()
        .map_err(|error| ExprError::new(Problem::Syntax(error.message), place(error.location), text))?;
    let words = tokens.iter().filter(|token| counts(&token.token)).count();
    if words > WORDS_MAX {
        return large(format!(
            "the expression has {words} words and operators, the most is {WORDS_MAX}: use IN or a join"
        ));
    }
    Ok(tokens)
}

/// Lists may be long, as they do not nest: their commas and literals are free.
fn counts(token: &Token) -> bool {
    !matches!(
        token,
        Token::Whitespace(_)
            | Token::Comma
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::LParen
            | Token::RParen
            | Token::EOF
    )
}

/// The parser writes the place into its message; it is taken out again.
fn syntax(text: &Arc<str>, error: &ParserError) -> ExprError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        ParserError::RecursionLimitExceeded => {
            let message = "the expression nests too deeply: split it over several steps".to_owned();
            return ExprError::new(Problem::TooLarge(message), None, text);
        }
    };
    let split = message.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((message, Position { line: line.parse().ok()?, column: column.parse().ok()? }))
    });
    let (message, position) =
        split.map_or((message.as_str(), None), |(message, position)| (message, Some(position)));
    let message = message.replace("Expected: ", "expected ").replace(", found: ", ", found ");
    ExprError::new(Problem::Syntax(message), position, text)
}
