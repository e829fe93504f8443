//! Rules for the source text that no compiler checks: unique names, short functions and files, one place for the
//! environment.
#![expect(clippy::expect_used, reason = "a broken expectation is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Visibility};

/// Lines of a file, without its tests.
const MAX_FILE_LINES: usize = 400;

/// Lines of a function, from its signature to its closing brace.
const MAX_FUNCTION_LINES: usize = 60;

/// Files above the limit, each with the reason.
const LONG_FILES: &[(&str, &str)] = &[
    (
        "crates/engine/src/reconcile/mod.rs",
        "the passes over one key and their single-request writes, which share private state",
    ),
    (
        "crates/engine/src/reconcile/multipart.rs",
        "one upload from its creation to its completion or abort",
    ),
    (
        "crates/testkit/src/memory.rs",
        "one bucket with every operation of the ports",
    ),
];

/// Functions above the limit, each with the reason.
const LONG_FUNCTIONS: &[(&str, &str)] = &[
    (
        "crates/aws/src/content.rs::attempt",
        "one request, and each way in which its body can end",
    ),
    ("crates/aws/src/cutover.rs::probe", "one request for each kind of write"),
    (
        "crates/cli/src/commands/cutover/open.rs::open",
        "each field of the setup, in the order in which they depend on each other",
    ),
    (
        "crates/cli/src/commands/diff.rs::run",
        "the steps of the command, one after another",
    ),
    (
        "crates/cli/src/commands/manifest.rs::run",
        "the steps of the command, one after another",
    ),
    (
        "crates/cli/src/commands/sync.rs::run",
        "the steps of the command, one after another",
    ),
    (
        "crates/cli/src/commands/verify.rs::run",
        "the steps of the command, one after another",
    ),
    (
        "crates/cli/src/commands/verify/page.rs::run",
        "one row for each argument of the run",
    ),
    (
        "crates/cli/src/commands/verify/results.rs::lines",
        "one line for each count of the report",
    ),
    ("crates/cli/src/exit.rs::next_step", "one row for each failure code"),
    (
        "crates/core/src/decide/attributes.rs::update_attributes",
        "each attribute of the update, and each reason to copy instead",
    ),
    (
        "crates/core/src/decide/copy.rs::copy_by",
        "each field of the copy, and what has to be read for it",
    ),
    (
        "crates/core/src/decide/shared.rs::replace_copy",
        "each state of the copy that is there",
    ),
    (
        "crates/engine/src/reconcile/multipart.rs::copy_parts",
        "one loop whose arms share its state",
    ),
    ("crates/engine/src/record.rs::log", "one log line for each outcome"),
    (
        "crates/engine/src/verify/mod.rs::outcome",
        "one verdict for each finding about a key",
    ),
    (
        "crates/functions/src/config.rs::read",
        "one line for each environment variable",
    ),
    (
        "crates/testkit/src/sim/fault.rs::read",
        "one check for each field of a rule",
    ),
    (
        "crates/testkit/src/sim/model/document.rs::names",
        "one row for each configuration document",
    ),
];

/// Types that are defined twice, because the feature `inventory` chooses one of two modules.
const FEATURE_TWINS: &[&str] = &["Inventories", "InventoryArgs"];

/// The modules that read environment variables of the process.
const ENVIRONMENT_READERS: &[&str] = &[
    "crates/cli/src/environment.rs",
    "crates/functions/src/bin/bucket-wiring.rs",
    "crates/functions/src/start.rs",
    "tests/src/bin/demo/main.rs",
    "tests/src/emulator.rs",
    "tests/src/server.rs",
    "tests/src/tools.rs",
];

/// What one source file declares outside its tests.
#[derive(Default)]
struct Declarations {
    /// Structs, enums, traits, unions and aliases with any `pub` visibility.
    types: Vec<String>,
    /// Functions with their number of lines.
    functions: Vec<(String, usize)>,
    /// The line on which the tests inside of the file begin.
    tests_begin: Option<usize>,
    /// Whether a path names `env::var`, `env::var_os` or `env::vars`.
    reads_environment: bool,
    /// Lines that compare the text of a failure's code.
    code_comparisons: Vec<usize>,
}

/// Returns whether an expression is the text of a failure's code.
fn is_code_text(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::MethodCall(call) if call.method == "as_str" => {
            matches!(&*call.receiver, syn::Expr::Field(field)
                if matches!(&field.member, syn::Member::Named(name) if name == "code"))
        }
        syn::Expr::Tuple(tuple) => tuple.elems.iter().any(is_code_text),
        syn::Expr::Reference(reference) => is_code_text(&reference.expr),
        _ => false,
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|condition| condition.is_ident("test"))
    })
}

impl Declarations {
    fn declare(&mut self, visibility: &Visibility, name: &syn::Ident) {
        if !matches!(visibility, Visibility::Inherited) {
            self.types.push(name.to_string());
        }
    }

    fn measure(&mut self, name: &syn::Ident, span: Span) {
        let lines = span.end().line - span.start().line + 1;
        self.functions.push((name.to_string(), lines));
    }
}

impl<'ast> Visit<'ast> for Declarations {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_test(&item.attrs) {
            if item.content.is_some() {
                self.tests_begin.get_or_insert(item.span().start().line);
            }
            return;
        }
        visit::visit_item_mod(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.declare(&item.vis, &item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.declare(&item.vis, &item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.declare(&item.vis, &item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.declare(&item.vis, &item.ident);
        visit::visit_item_type(self, item);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(
            &item.sig.ident,
            item.sig
                .span()
                .join(item.block.span())
                .unwrap_or_else(|| item.block.span()),
        );
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(
            &item.sig.ident,
            item.sig
                .span()
                .join(item.block.span())
                .unwrap_or_else(|| item.block.span()),
        );
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        if is_code_text(&binary.left) || is_code_text(&binary.right) {
            self.code_comparisons.push(binary.span().start().line);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_match(&mut self, matched: &'ast syn::ExprMatch) {
        if is_code_text(&matched.expr) {
            self.code_comparisons.push(matched.span().start().line);
        }
        visit::visit_expr_match(self, matched);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let compares = ["starts_with", "ends_with", "contains", "eq"];
        let is_compared = is_code_text(&call.receiver) || call.args.iter().any(is_code_text);
        if is_compared && compares.iter().any(|name| call.method == name) {
            self.code_comparisons.push(call.span().start().line);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let [.., module, function] = names.as_slice() {
            self.reads_environment |= module == "env" && ["var", "var_os", "vars"].contains(&function.as_str());
        }
        visit::visit_path(self, path);
    }
}

struct Source {
    /// The path below the repository.
    path: String,
    lines: usize,
    declarations: Declarations,
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "tests") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_name().is_some_and(|name| name != "tests.rs")
        {
            found.push(path);
        }
    }
}

/// Reads every source file of the workspace but its tests.
fn sources() -> Vec<Source> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the repository");
    let mut paths = Vec::new();
    for member in std::fs::read_dir(repository.join("crates")).expect("crates/ can be read") {
        collect(&member.expect("an entry").path().join("src"), &mut paths);
    }
    collect(&repository.join("tests/src"), &mut paths);
    paths.sort();
    assert!(paths.len() > 100, "{paths:?}");
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("the file can be read");
            let mut declarations = Declarations::default();
            let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            declarations.visit_file(&file);
            let lines = declarations.tests_begin.unwrap_or_else(|| text.lines().count());
            let path = path.strip_prefix(&repository).expect("a path of the repository");
            Source {
                path: path.to_str().expect("UTF-8").to_owned(),
                lines,
                declarations,
            }
        })
        .collect()
}

#[test]
fn every_public_type_has_a_name_of_its_own() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        for name in source.declarations.types {
            places.entry(name).or_default().push(source.path.clone());
        }
    }
    places.retain(|name, paths| paths.len() > 1 && !FEATURE_TWINS.contains(&name.as_str()));
    assert!(places.is_empty(), "{places:#?}");
}

/// Compares what is too long with the list of exceptions, in both directions.
#[track_caller]
fn must_be_listed(long: &BTreeMap<String, usize>, exceptions: &[(&str, &str)]) {
    let found: BTreeSet<&str> = long.keys().map(String::as_str).collect();
    let listed: BTreeSet<&str> = exceptions.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, listed, "{long:#?}");
    assert!(exceptions.iter().all(|(_, reason)| reason.len() > 10));
}

#[test]
fn files_are_short_or_listed_with_a_reason() {
    let long = sources().into_iter().filter(|source| source.lines > MAX_FILE_LINES);
    must_be_listed(&long.map(|source| (source.path, source.lines)).collect(), LONG_FILES);
}

#[test]
fn functions_are_short_or_listed_with_a_reason() {
    let long = sources().into_iter().flat_map(|source| {
        let functions = source.declarations.functions.into_iter();
        functions.filter_map(move |(name, lines)| {
            (lines > MAX_FUNCTION_LINES).then(|| (format!("{}::{name}", source.path), lines))
        })
    });
    must_be_listed(&long.collect(), LONG_FUNCTIONS);
}

#[test]
fn environment_is_read_only_by_the_named_modules() {
    let readers: Vec<String> = sources()
        .into_iter()
        .filter(|source| source.declarations.reads_environment)
        .map(|source| source.path)
        .collect();
    assert_eq!(readers, ENVIRONMENT_READERS);
}

#[test]
fn failure_codes_are_not_compared_as_text() {
    for source in sources() {
        let lines = source.declarations.code_comparisons;
        assert!(lines.is_empty(), "{}: lines {lines:?}", source.path);
    }
}
