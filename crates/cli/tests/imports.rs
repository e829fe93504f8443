//! The imports between the modules of the CLI.
#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type ModuleGraph = BTreeMap<String, BTreeSet<String>>;

/// Reads the modules below `folder`, each with its text up to its tests.
fn modules(folder: &Path, parent: &str, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let name = if stem == "mod" || stem == "lib" {
            parent.to_owned()
        } else {
            format!("{parent}::{stem}")
        };
        if path.is_dir() {
            modules(&path, &name, found);
        } else if stem != "tests" && stem != "main" {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            found.insert(name, code.to_owned());
        }
    }
}

/// Splits the tree of a `use` declaration into its paths.
fn paths(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((base, rest)) = tree.split_once('{') else {
        return vec![tree.to_owned()];
    };
    let inner = rest.strip_suffix('}').unwrap_or(rest);
    let mut depth = 0_i32;
    let branches = inner.split(|letter| {
        depth += match letter {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        letter == ',' && depth == 0
    });
    let branches = branches.filter(|branch| !branch.trim().is_empty());
    branches
        .flat_map(|branch| paths(branch).into_iter().map(|path| format!("{base}{path}")))
        .collect()
}

/// Returns the module that a path in `module` leads to.
fn target(module: &str, path: &str, modules: &BTreeMap<String, String>) -> Option<String> {
    let mut base = module.to_owned();
    let mut rest = path;
    loop {
        let (first, behind) = rest.split_once("::")?;
        match first {
            "crate" => "crate".clone_into(&mut base),
            "self" => {}
            "super" => base.truncate(base.rfind("::")?),
            _ => break,
        }
        rest = behind;
    }
    if rest == path {
        return None;
    }
    let mut found = base;
    for segment in rest.split("::") {
        let longer = format!("{found}::{segment}");
        if modules.contains_key(&longer) {
            found = longer;
        }
    }
    Some(found).filter(|found| found != module)
}

fn graph() -> ModuleGraph {
    let mut found = BTreeMap::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    modules(&sources, "crate", &mut found);
    let imports = |(module, code): (&String, &String)| {
        let declarations = code.split(';').filter_map(|part| {
            let start = part.rfind("use ")?;
            Some(part.get(start + 4..)?.to_owned())
        });
        let targets = declarations
            .flat_map(|tree| paths(&tree))
            .filter_map(|path| target(module, &path, &found));
        (module.clone(), targets.collect())
    };
    found.iter().map(imports).collect()
}

/// Finds a circle that `path` runs into.
fn circle(graph: &ModuleGraph, path: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
    let module = path.last()?.clone();
    for next in graph.get(&module)? {
        if let Some(begin) = path.iter().position(|seen| seen == next) {
            return path.get(begin..).map(<[String]>::to_vec);
        }
        if done.insert(next.clone()) {
            path.push(next.clone());
            if let Some(found) = circle(graph, path, done) {
                return Some(found);
            }
            path.pop();
        }
    }
    None
}

#[test]
fn modules_import_each_other_without_a_circle() {
    let graph = graph();
    assert!(graph.len() > 40, "{} modules", graph.len());
    assert!(
        graph.values().map(BTreeSet::len).sum::<usize>() > 150,
        "too few imports were found"
    );
    let mut done = BTreeSet::new();
    for module in graph.keys() {
        if done.insert(module.clone()) {
            let found = circle(&graph, &mut vec![module.clone()], &mut done);
            assert_eq!(found, None);
        }
    }
}

#[test]
fn no_command_imports_another_command() {
    let command = |module: &str| {
        let rest = module.strip_prefix("crate::commands::")?;
        Some(rest.split("::").next().unwrap_or(rest).to_owned())
    };
    for (module, imports) in graph() {
        for import in imports {
            if let (Some(from), Some(to)) = (command(&module), command(&import)) {
                assert_eq!(from, to, "{module} imports {import}");
            }
        }
    }
}
