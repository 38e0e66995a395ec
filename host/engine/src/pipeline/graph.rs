//! The shape of a pipeline: which entry feeds which, checked and in an order in which every entry
//! comes after those that feed it. Knows names only, no types.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::error::{SpecError, unknown_name};
use super::kinds::{Port, Takes};
use super::spec::PipelineSpec;

/// What an entry is in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Source,
    Table,
    Step,
    Sink,
}

impl Role {
    /// The key of the spec under which such entries stand.
    pub(crate) const fn section(self) -> &'static str {
        match self {
            Self::Source => "sources",
            Self::Table => "tables",
            Self::Step => "steps",
            Self::Sink => "sinks",
        }
    }
}

/// An entry and its neighbours, by their place in the graph.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    /// Whose rows it takes: an entry, and by which of its ports.
    pub(crate) inputs: Vec<Feed>,
    /// The ways out of it.
    pub(crate) ports: Vec<Port>,
    /// By port: who takes the rows, and as which of its inputs.
    pub(crate) outputs: Vec<Vec<(usize, usize)>>,
}

/// One of an entry's ways out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Feed {
    pub(crate) entry: usize,
    pub(crate) port: usize,
}

impl Node {
    /// Where the entry stands in the spec.
    pub(crate) fn path(&self) -> String {
        format!("{}.{}", self.role.section(), self.name)
    }
}

/// The entries, each after its inputs.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
}

/// Letters, digits, hyphens and underscores: names stand in URLs, file names and metrics.
const NAME_BYTES_MAX: usize = 64;

/// Entries that stand in a spec and could not be read: their names are known, and nothing else.
pub(crate) type Unread = BTreeMap<String, Role>;

/// A graph as far as the spec makes one, and what does not.
pub(crate) struct Sketch {
    pub(crate) graph: Graph,
    /// For each entry: what feeds it is not known, because of an error that is told already.
    pub(crate) broken: Vec<bool>,
    pub(crate) errors: Vec<SpecError>,
}

impl Graph {
    /// Checks names and connections; all that is wrong at once, and nothing that only follows from it.
    pub(crate) fn sketch(spec: &PipelineSpec, unread: &Unread) -> Sketch {
        let entries = entries(spec);
        let names = Names::new(&entries, unread);
        let mut errors = check_names(spec, &entries, unread);
        let mut inputs = vec![Vec::new(); entries.len()];
        let mut broken = vec![false; entries.len()];
        let mut is_clear = unread.is_empty() && names.twice.is_empty();
        for (i, entry) in entries.iter().enumerate() {
            for (path, name, takes) in &entry.inputs {
                match names.resolve(name, *takes) {
                    Ok(Some(input)) => inputs[i].push(input),
                    Ok(None) => broken[i] = true,
                    Err(message) => {
                        (broken[i], is_clear) = (true, false);
                        errors.push(SpecError::new(format!("{}.{path}", entry.path()), message));
                    }
                }
            }
        }
        let (order, circles) = sort(&entries, &mut inputs, &mut broken);
        is_clear &= circles.is_empty();
        errors.extend(circles);
        let graph = assemble(&entries, &inputs, &order);
        // Whoever names a wrong entry may have meant the one that nothing takes.
        if is_clear {
            errors.extend(graph.unused());
        }
        Sketch { graph, broken: order.iter().map(|old| broken[*old]).collect(), errors }
    }

    /// The place of an entry.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| &*node.name == name)
    }

    /// For each entry, the sources that its rows come from.
    pub(crate) fn ancestors(&self) -> Vec<Vec<usize>> {
        let mut ancestors: Vec<Vec<usize>> = Vec::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate() {
            let mut sources: Vec<usize> =
                node.inputs.iter().flat_map(|input| ancestors[input.entry].clone()).collect();
            if node.role == Role::Source {
                sources.push(i);
            }
            sources.sort_unstable();
            sources.dedup();
            ancestors.push(sources);
        }
        ancestors
    }

    /// An entry's place and port by the name that specs use: `step`, or `step.branch`.
    pub(crate) fn find_port(&self, name: &str) -> Option<Feed> {
        let (entry, port) = name.split_once('.').unwrap_or((name, ""));
        let entry = self.find(entry)?;
        let node = &self.nodes[entry];
        // All rows of a sink, and what a step with branches takes in, have no other name.
        let found = node.ports.iter().position(|other| other.name == port);
        found.or((port.is_empty() && node.role == Role::Sink).then_some(0)).map(|port| Feed { entry, port })
    }

    fn unused(&self) -> Vec<SpecError> {
        let mut unused = Vec::new();
        for node in self.nodes.iter().filter(|node| node.role != Role::Sink) {
            for (port, takers) in node.ports.iter().zip(&node.outputs) {
                if takers.is_empty() && node.role == Role::Table {
                    let message = "nothing uses it: name it as the `right` of a `join`, or in the `tables` of a `sql` step, or remove it";
                    unused.push(SpecError::new(node.path(), message));
                } else if takers.is_empty() && !port.optional {
                    let dot = if port.name.is_empty() { "" } else { "." };
                    let message = format!(
                        "nothing takes its rows: name it in a `from` as `{}{dot}{}`, or remove it",
                        node.name, port.name
                    );
                    unused.push(SpecError::new(node.path(), message));
                }
            }
        }
        unused
    }
}

struct Entry<'a> {
    name: &'a str,
    role: Role,
    /// Key below the entry, the name it holds, and what that may mean.
    inputs: Vec<(String, &'a str, Takes)>,
    ports: Vec<Port>,
}

impl Entry<'_> {
    fn path(&self) -> String {
        format!("{}.{}", self.role.section(), self.name)
    }
}

fn entries(spec: &PipelineSpec) -> Vec<Entry<'_>> {
    let sources = spec.sources.keys().map(|name| (name, Role::Source));
    let tables = spec.tables.keys().map(|name| (name, Role::Table));
    let given = sources.chain(tables).map(|(name, role)| Entry {
        name,
        role,
        inputs: Vec::new(),
        ports: vec![Port::main()],
    });
    let steps = spec.steps.iter().map(|(name, step)| {
        let kind = step.as_kind();
        let inputs = kind.inputs().into_iter().enumerate();
        let inputs = inputs.map(|(i, (path, input))| (path, input, kind.takes(i))).collect();
        Entry { name, role: Role::Step, inputs, ports: kind.ports() }
    });
    let sinks = spec.sinks.iter().map(|(name, sink)| Entry {
        name,
        role: Role::Sink,
        inputs: vec![("from".to_owned(), sink.from.as_str(), Takes::Rows)],
        ports: Vec::new(),
    });
    given.chain(steps).chain(sinks).collect()
}

fn check_names(spec: &PipelineSpec, entries: &[Entry<'_>], unread: &Unread) -> Vec<SpecError> {
    let is_unread = |role: Role| unread.values().any(|other| *other == role);
    let mut errors = Vec::new();
    if !is_name(&spec.name) {
        errors.push(SpecError::new("name", bad_name(&spec.name)));
    }
    if spec.sources.is_empty() && !is_unread(Role::Source) {
        errors.push(SpecError::new("sources", "a pipeline needs at least one source"));
    }
    if spec.sinks.is_empty() && !is_unread(Role::Sink) {
        errors.push(SpecError::new("sinks", "a pipeline needs at least one sink"));
    }
    let mut seen: BTreeMap<&str, &Entry<'_>> = BTreeMap::new();
    for entry in entries {
        if !is_name(entry.name) {
            errors.push(SpecError::new(entry.path(), bad_name(entry.name)));
        }
        if let Some(first) = seen.insert(entry.name, entry) {
            let message =
                format!("the name is taken by {}: each entry needs a name of its own", first.path());
            errors.push(SpecError::new(entry.path(), message));
        }
    }
    errors
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

fn bad_name(name: &str) -> String {
    format!("`{name}` is no name: use letters, digits, `-` and `_`, at most {NAME_BYTES_MAX}")
}

/// What a name in a `from` may mean.
struct Names<'a> {
    entries: &'a [Entry<'a>],
    unread: &'a Unread,
    place: BTreeMap<&'a str, usize>,
    /// Names that two entries have: which one is meant is not known.
    twice: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    fn new(entries: &'a [Entry<'a>], unread: &'a Unread) -> Self {
        let (mut place, mut twice) = (BTreeMap::new(), BTreeSet::new());
        for (i, entry) in entries.iter().enumerate() {
            if place.insert(entry.name, i).is_some() {
                twice.insert(entry.name);
            }
        }
        Self { entries, unread, place, twice }
    }

    /// The entry and its port; none when the entry is wrong itself, which is told already.
    fn resolve(&self, name: &str, takes: Takes) -> Result<Option<Feed>, String> {
        let (name, port) = name.split_once('.').unwrap_or((name, ""));
        if self.twice.contains(name) {
            return Ok(None);
        }
        let place = self.place.get(name);
        let role = place.map(|i| self.entries[*i].role).or(self.unread.get(name).copied());
        let Some(role) = role else {
            let read = self.entries.iter().map(|entry| (entry.name, entry.role));
            let unread = self.unread.iter().map(|(name, role)| (name.as_str(), *role));
            let feeding = read.chain(unread).filter(|(_, role)| misuse(*role, takes).is_none());
            let known: Vec<&str> = feeding.map(|(name, _)| name).collect();
            let what = if takes == Takes::Table { "table" } else { "entry" };
            return Err(unknown_name(what, name, &known));
        };
        match misuse(role, takes) {
            Some(why) => Err(format!("`{name}` is a {}{why}", role.section().trim_end_matches('s'))),
            None => place.map(|i| self.port(*i, port)).transpose(),
        }
    }

    fn port(&self, entry: usize, name: &str) -> Result<Feed, String> {
        let Entry { name: step, ports, .. } = &self.entries[entry];
        let named: Vec<&str> =
            ports.iter().map(|port| port.name.as_str()).filter(|n| !n.is_empty()).collect();
        match ports.iter().position(|port| port.name == name) {
            Some(port) => Ok(Feed { entry, port }),
            None if name.is_empty() => Err(format!(
                "`{step}` has several ways out: say which, `{step}.{}`",
                named.join(&format!("` or `{step}."))
            )),
            None => Err(unknown_name(&format!("way out of `{step}`:"), name, &named)),
        }
    }
}

/// Why rows cannot be taken from an entry of this role here, if they cannot.
fn misuse(role: Role, takes: Takes) -> Option<&'static str> {
    match (role, takes) {
        (Role::Sink, _) => Some(": rows end there; take them from where the sink takes them"),
        (Role::Table, Takes::Rows) => Some(
            ", and this takes rows of a stream: a `join` takes a table as `right`, with the stream as `left`, a `sql` step in `tables`",
        ),
        (Role::Source | Role::Step, Takes::Table) => Some(", and this takes a table: name one of `tables`"),
        _ => None,
    }
}

/// Entries in an order in which each comes after its inputs; among equals, the order of the spec.
/// A circle is told, and then cut open: what feeds its entries is not known.
fn sort(
    entries: &[Entry<'_>],
    inputs: &mut [Vec<Feed>],
    broken: &mut [bool],
) -> (Vec<usize>, Vec<SpecError>) {
    let mut order: Vec<usize> = Vec::with_capacity(entries.len());
    let mut circles = Vec::new();
    let mut placed = vec![false; entries.len()];
    while order.len() < entries.len() {
        let ready =
            (0..entries.len()).find(|i| !placed[*i] && inputs[*i].iter().all(|input| placed[input.entry]));
        if let Some(next) = ready {
            placed[next] = true;
            order.push(next);
            continue;
        }
        let circle = circle(entries, inputs, &placed);
        for i in &circle {
            inputs[*i].clear();
            broken[*i] = true;
        }
        circles.push(circle_error(entries, &circle));
    }
    (order, circles)
}

/// Entries that feed each other in a circle, each after the one that it feeds.
fn circle(entries: &[Entry<'_>], inputs: &[Vec<Feed>], placed: &[bool]) -> Vec<usize> {
    // Going up from any entry that could not be placed, some entry comes twice.
    let waiting = |i: usize| inputs[i].iter().map(|input| input.entry).find(|input| !placed[*input]);
    let start = (0..entries.len()).find(|i| !placed[*i]).unwrap_or_default();
    let mut walk = vec![start];
    let mut at = start;
    while let Some(next) = waiting(at) {
        if let Some(first) = walk.iter().position(|seen| *seen == next) {
            walk.drain(..first);
            break;
        }
        walk.push(next);
        at = next;
    }
    walk
}

fn circle_error(entries: &[Entry<'_>], walk: &[usize]) -> SpecError {
    let mut names: Vec<&str> = walk.iter().rev().map(|i| entries[*i].name).collect();
    names.push(names[0]);
    let message = format!(
        "rows would go in a circle: {}; one of these must take its rows elsewhere",
        names.join(" -> ")
    );
    SpecError::new(entries[walk[0]].path(), message)
}

fn assemble(entries: &[Entry<'_>], inputs: &[Vec<Feed>], order: &[usize]) -> Graph {
    let mut new_place = vec![0; entries.len()];
    order.iter().enumerate().for_each(|(new, old)| new_place[*old] = new);
    let feed = |feed: &Feed| Feed { entry: new_place[feed.entry], port: feed.port };
    let mut nodes: Vec<Node> = order
        .iter()
        .map(|old| Node {
            name: entries[*old].name.into(),
            role: entries[*old].role,
            inputs: inputs[*old].iter().map(feed).collect(),
            ports: entries[*old].ports.clone(),
            outputs: vec![Vec::new(); entries[*old].ports.len()],
        })
        .collect();
    for i in 0..nodes.len() {
        for (input, feed) in nodes[i].inputs.clone().into_iter().enumerate() {
            nodes[feed.entry].outputs[feed.port].push((i, input));
        }
    }
    Graph { nodes }
}

#[cfg(test)]
mod tests;
