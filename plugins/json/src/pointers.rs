//! Finds the values of several JSON pointers in one pass over the text, without building the
//! document: what no pointer leads to is skipped.

use std::borrow::Cow;
use std::fmt;

use millstream_plugin::prelude::*;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What stands where a pointer leads.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Found<'a> {
    #[default]
    Missing,
    Null,
    Boolean(bool),
    Integer(i64),
    /// A whole number too large for [`Found::Integer`].
    Unsigned(u64),
    Number(f64),
    Text(Cow<'a, str>),
    Array,
    Object,
}

impl Found<'_> {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "nothing",
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) | Self::Unsigned(_) | Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// Pointers merged into a tree.
#[derive(Debug)]
pub(crate) struct Pointers {
    root: Node,
    count: usize,
}

#[derive(Debug, Default)]
struct Node {
    /// Numbers of the pointers that end here.
    ends: Vec<usize>,
    children: Vec<Child>,
}

#[derive(Debug)]
struct Child {
    key: String,
    /// The key as a place in an array.
    index: Option<usize>,
    node: Node,
}

impl Pointers {
    /// # Errors
    /// When one is not a JSON pointer.
    pub(crate) fn new(pointers: &[String]) -> Result<Self> {
        let mut root = Node::default();
        for (number, pointer) in pointers.iter().enumerate() {
            let mut node = &mut root;
            for key in keys(pointer)? {
                node = node.child(key);
            }
            node.ends.push(number);
        }
        Ok(Self { root, count: pointers.len() })
    }

    /// Puts what each pointer leads to into `found`, in the order of the pointers.
    ///
    /// # Errors
    /// When the text is not one JSON document.
    pub(crate) fn find<'a>(
        &self,
        text: &'a str,
        found: &mut Vec<Found<'a>>,
    ) -> Result<(), serde_json::Error> {
        found.clear();
        found.resize(self.count, Found::Missing);
        let mut json = serde_json::Deserializer::from_str(text);
        Walk { node: &self.root, found }.deserialize(&mut json)?;
        json.end()
    }
}

impl Node {
    fn child(&mut self, key: String) -> &mut Self {
        let place = self.children.iter().position(|child| child.key == key).unwrap_or_else(|| {
            let canonical =
                key == "0" || !key.starts_with('0') && key.bytes().all(|byte| byte.is_ascii_digit());
            let index = if canonical { key.parse().ok() } else { None };
            self.children.push(Child { key, index, node: Self::default() });
            self.children.len() - 1
        });
        &mut self.children[place].node
    }

    /// Forgets what an earlier key of the same name held: the last one counts.
    fn clear(&self, found: &mut [Found<'_>]) {
        self.ends.iter().for_each(|end| found[*end] = Found::Missing);
        self.children.iter().for_each(|child| child.node.clear(found));
    }
}

/// The keys of a pointer, unescaped.
fn keys(pointer: &str) -> Result<Vec<String>> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let Some(path) = pointer.strip_prefix('/') else {
        bail!("`{pointer}` is not a JSON pointer: it must be empty or start with a slash, as in /user/id");
    };
    let unescape = |key: &str| {
        if key.replace("~0", "").replace("~1", "").contains('~') {
            bail!("`{pointer}` is not a JSON pointer: write ~0 for a tilde and ~1 for a slash in a key");
        }
        Ok(key.replace("~1", "/").replace("~0", "~"))
    };
    path.split('/').map(unescape).collect()
}

/// Reads one value, of which `node` says what is wanted.
struct Walk<'n, 'f, 'a> {
    node: &'n Node,
    found: &'f mut [Found<'a>],
}

impl<'a> Walk<'_, '_, 'a> {
    fn end(self, value: Found<'a>) {
        self.node.ends.iter().for_each(|end| self.found[*end] = value.clone());
    }
}

impl<'a> DeserializeSeed<'a> for Walk<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Walk<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.end(Found::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.end(Found::Boolean(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.end(Found::Integer(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.end(i64::try_from(value).map_or(Found::Unsigned(value), Found::Integer));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.end(Found::Number(value));
        Ok(())
    }

    fn visit_borrowed_str<E>(self, value: &'a str) -> Result<(), E> {
        self.end(Found::Text(Cow::Borrowed(value)));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.end(Found::Text(Cow::Owned(value.to_owned())));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<(), A::Error> {
        for place in 0.. {
            let child = self.node.children.iter().find(|child| child.index == Some(place));
            let more = match child {
                Some(child) => array.next_element_seed(Walk { node: &child.node, found: self.found })?,
                None => array.next_element::<IgnoredAny>()?.map(|_| ()),
            };
            if more.is_none() {
                self.end(Found::Array);
                return Ok(());
            }
        }
        Err(A::Error::custom("an array without end"))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(child) = object.next_key_seed(ChildOf(self.node))? {
            match child {
                Some(child) => {
                    child.node.clear(self.found);
                    object.next_value_seed(Walk { node: &child.node, found: self.found })?;
                }
                None => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        self.end(Found::Object);
        Ok(())
    }
}

/// Reads a key and answers with the child it leads to, without keeping the key.
struct ChildOf<'n>(&'n Node);

impl<'a, 'n> DeserializeSeed<'a> for ChildOf<'n> {
    type Value = Option<&'n Child>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for ChildOf<'n> {
    type Value = Option<&'n Child>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.children.iter().find(|child| child.key == key))
    }
}
