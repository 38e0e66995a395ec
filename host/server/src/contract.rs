//! The contract with plugins, as the program was built with it: the files of `wit/`.

/// Names and texts of the WIT files, all of one package.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("aggregate.wit", include_str!("../../../wit/aggregate.wit")),
    ("catalog.wit", include_str!("../../../wit/catalog.wit")),
    ("data.wit", include_str!("../../../wit/data.wit")),
    ("host.wit", include_str!("../../../wit/host.wit")),
    ("keyed.wit", include_str!("../../../wit/keyed.wit")),
    ("transform.wit", include_str!("../../../wit/transform.wit")),
    ("worlds.wit", include_str!("../../../wit/worlds.wit")),
];

/// The package as one WIT document: what a file says of the package is said once.
pub(crate) fn document() -> String {
    let (_, first) = FILES[0];
    let head = first.lines().next().unwrap_or_default();
    let bodies = FILES.iter().map(|(_, text)| text.strip_prefix(head).unwrap_or(text).trim());
    let parts: Vec<&str> = std::iter::once(head).chain(bodies).collect();
    parts.join("\n\n") + "\n"
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn no_file_of_the_contract_is_left_out() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let mut there: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        there.sort();
        assert_eq!(there, FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }

    #[test]
    fn one_document_has_one_package() {
        assert_eq!(document().matches("package millstream:plugin@").count(), 1);
        assert!(document().starts_with("package millstream:plugin@"));
    }
}
