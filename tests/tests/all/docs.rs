//! What the documentation shows works: each whole spec in it is sound.

use std::fs;

use crate::support::server_with;

/// The blocks of YAML that are whole specs.
fn specs(page: &str) -> Vec<String> {
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.filter(|block| block.starts_with("name:")).map(str::to_owned).collect()
}

#[test]
fn every_spec_in_the_documentation_is_sound() {
    let (_dir, server) = server_with(&["text", "json", "geo", "stats"]);
    let folder = millstream_tests::folder().join("../docs");
    let mut found = 0;
    for page in fs::read_dir(folder).expect("the documentation has a folder") {
        let path = page.expect("an entry").path();
        let page = fs::read_to_string(&path).expect("a page is text");
        for spec in specs(&page) {
            found += 1;
            let answer = server.post_yaml("/v1/pipelines/validate", &spec);
            assert_eq!(answer.status, 200, "{}: {answer:#?}\n{spec}", path.display());
        }
    }
    assert!(found >= 4, "{found} specs");
}
