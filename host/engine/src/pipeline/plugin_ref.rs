//! How a spec names an operator: `plugin/operator@version`.

use std::fmt;
use std::str::FromStr;

/// A plugin's operator and which versions will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginRef {
    /// The plugin.
    pub plugin: String,
    /// The operator in it.
    pub operator: String,
    /// `1`, `1.2` or `1.2.3`; none takes the newest.
    pub version: Option<String>,
}

impl FromStr for PluginRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, version) = match text.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (text, None),
        };
        let parts = path.split_once('/').filter(|(plugin, operator)| is_word(plugin) && is_word(operator));
        let (Some((plugin, operator)), true) = (parts, version.is_none_or(is_version)) else {
            return Err(format!(
                "`{text}` names no operator: write `plugin/operator` or `plugin/operator@1`, as in text/split-words@1"
            ));
        };
        Ok(Self {
            plugin: plugin.to_owned(),
            operator: operator.to_owned(),
            version: version.map(str::to_owned),
        })
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn is_version(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'+'))
}

impl fmt::Display for PluginRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.plugin, self.operator)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_read_and_print_the_same() {
        for text in ["text/split-words", "text/split-words@1", "a/b@1.2.3-rc.1"] {
            assert_eq!(text.parse::<PluginRef>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_no_operator_is_refused_with_an_example() {
        for text in ["", "text", "text/", "/x", "a/b@", "a/b/c", "a b/c"] {
            assert!(text.parse::<PluginRef>().unwrap_err().contains("text/split-words@1"), "{text}");
        }
    }
}
