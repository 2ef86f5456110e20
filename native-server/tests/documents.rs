//! The operator's guide has every setting.

use ferrite_server::config::table::SETTINGS;

#[test]
fn the_guide_has_every_setting() {
    let guide = include_str!("../../docs/server.md");
    let rows: Vec<&str> = guide.lines().filter(|line| line.starts_with("| `")).collect();
    let names = SETTINGS.iter().map(|setting| format!("`{}`", setting.name));
    let missing: Vec<String> =
        names.filter(|name| !rows.iter().any(|row| row.contains(name))).collect();
    assert!(missing.is_empty(), "docs/server.md lacks {missing:?}");
}
