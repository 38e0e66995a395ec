//! `text/split-words@1.2`: reads references and chooses versions. Pure.

use std::cmp::Ordering;
use std::collections::HashSet;

use millstream_engine::pipeline::{PluginRef, unknown_name};
use semver::Version;

use super::Known;
use super::description::OperatorDescription;

/// Reads `plugin/operator` or `plugin/operator@version`.
///
/// # Errors
/// When it is neither.
pub(super) fn parse(text: &str) -> Result<PluginRef, String> {
    let (path, version) = match text.split_once('@') {
        Some((path, version)) => (path, Some(version)),
        None => (text, None),
    };
    match path.split_once('/') {
        Some((plugin, operator)) if !plugin.is_empty() && !operator.is_empty() && version != Some("") => {
            Ok(PluginRef {
                plugin: plugin.to_owned(),
                operator: operator.to_owned(),
                version: version.map(str::to_owned),
            })
        }
        _ => Err(format!(
            "`{text}` is no operator: write `plugin/operator@version`, as in `text/split-words@1`"
        )),
    }
}

/// Finds plugin, version and operator.
///
/// # Errors
/// Words that say what there is instead.
pub(super) fn resolve<'a>(
    all: &'a [Known],
    wanted: &PluginRef,
    pinned: &HashSet<String>,
) -> Result<(&'a Known, &'a OperatorDescription), String> {
    let known = choose(all, &wanted.plugin, wanted.version.as_deref(), pinned)?;
    let operators = &known.document.operators;
    match operators.iter().find(|operator| operator.name == wanted.operator) {
        Some(operator) => Ok((known, operator)),
        None => {
            let names: Vec<&str> = operators.iter().map(|operator| operator.name.as_str()).collect();
            let what = unknown_name("operator", &wanted.operator, &names);
            Err(format!("plugin `{}` {}: {what}", wanted.plugin, known.document.version))
        }
    }
}

/// The newest version of a plugin that the requirement allows: one of `pinned` before all others,
/// and a pre-release only when it is asked for by its whole name.
///
/// # Errors
/// Words that say what there is instead.
pub(super) fn choose<'a>(
    all: &'a [Known],
    plugin: &str,
    version: Option<&str>,
    pinned: &HashSet<String>,
) -> Result<&'a Known, String> {
    let mut versions: Vec<&Known> = all.iter().filter(|known| known.document.name == plugin).collect();
    if versions.is_empty() {
        let mut names: Vec<&str> = all.iter().map(|known| known.document.name.as_str()).collect();
        names.dedup();
        return Err(unknown_name("plugin", plugin, &names));
    }
    versions.sort_by(|a, b| a.version.cmp(&b.version));
    let wanted = Wanted::parse(version)?;
    let fitting = || versions.iter().rev().filter(|known| wanted.allows(&known.version));
    let pinned = fitting().find(|known| pinned.contains(&known.document.digest));
    pinned.or_else(|| fitting().next()).copied().ok_or_else(|| {
        let there: Vec<String> = versions.iter().map(|known| known.version.to_string()).collect();
        let there = there.join(", ");
        match version {
            Some(version) => format!("plugin `{plugin}` has no version {version}; there are {there}"),
            None => {
                format!(
                    "plugin `{plugin}` has pre-releases only ({there}): name the version, as in `@{there}`"
                )
            }
        }
    })
}

/// Orders versions as people count; what is none comes first.
pub(super) fn order(a: &str, b: &str) -> Ordering {
    Version::parse(a).ok().cmp(&Version::parse(b).ok())
}

/// A version requirement.
enum Wanted {
    Newest,
    Major(u64),
    Minor(u64, u64),
    Exact(Version),
}

impl Wanted {
    fn parse(text: Option<&str>) -> Result<Self, String> {
        let Some(text) = text else { return Ok(Self::Newest) };
        if let Ok(version) = Version::parse(text) {
            return Ok(Self::Exact(version));
        }
        let numbers: Result<Vec<u64>, _> = text.split('.').map(str::parse).collect();
        match numbers.as_deref() {
            Ok([major]) => Ok(Self::Major(*major)),
            Ok([major, minor]) => Ok(Self::Minor(*major, *minor)),
            _ => Err(format!("`{text}` is no version: write `1`, `1.2` or `1.2.3`")),
        }
    }

    fn allows(&self, version: &Version) -> bool {
        match self {
            Self::Newest => version.pre.is_empty(),
            Self::Major(major) => version.pre.is_empty() && version.major == *major,
            Self::Minor(major, minor) => {
                version.pre.is_empty() && (version.major, version.minor) == (*major, *minor)
            }
            Self::Exact(exact) => version == exact,
        }
    }
}
