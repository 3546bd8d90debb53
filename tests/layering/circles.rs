//! Imports between the files of one crate: which file names which, and the circles among them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};

/// A module by its path below the crate, such as `["core", "log"]`; the crate's root is empty.
type Module = Vec<String>;

/// Returns the circles of imports between the files below `src`, each as its modules in order. An import between a
/// module and one that contains it is no part of a circle: a parent and its children are read together.
///
/// # Panics
///
/// If a file cannot be read or is not Rust.
pub(crate) fn circles(src: &Path) -> Vec<Vec<String>> {
    let mut files = BTreeMap::new();
    collect(src, &Vec::new(), &mut files);
    let modules: BTreeSet<Module> = files.keys().cloned().collect();
    let mut imports: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, text) in &files {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{}: {error}", module.join("::")));
        let mut paths = Paths { found: Vec::new() };
        paths.visit_file(&file);
        let targets = paths.found.iter().filter_map(|path| resolve(path, module, &modules));
        let others = targets.filter(|target| !target.starts_with(module) && !module.starts_with(target));
        imports.insert(module.clone(), others.collect());
    }
    let mut circles: Vec<Vec<String>> = Vec::new();
    for module in &modules {
        let circle: Vec<String> = modules
            .iter()
            .filter(|other| reaches(&imports, module, other) && reaches(&imports, other, module))
            .map(|other| other.join("::"))
            .collect();
        if !circle.is_empty() && !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

/// Whether a chain of one or more imports leads from one module to the other.
fn reaches(imports: &BTreeMap<Module, BTreeSet<Module>>, from: &Module, to: &Module) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        for next in &imports[module] {
            if next == to {
                return true;
            }
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    false
}

/// Reads the files of a folder and below, tests apart.
fn collect(folder: &Path, module: &Module, files: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("the folder can be listed").path();
        let name = path.file_stem().expect("it has a name").to_string_lossy().into_owned();
        let inner = || [module.as_slice(), std::slice::from_ref(&name)].concat();
        if path.is_dir() {
            collect(&path, &inner(), files);
        } else if path.extension().is_some_and(|ending| ending == "rs") && name != "tests" {
            let of_folder = ["lib", "main", "mod"].contains(&name.as_str());
            let text = fs::read_to_string(&path).expect("a source file is text");
            files.insert(if of_folder { module.clone() } else { inner() }, text);
        }
    }
}

/// The module in which the item of a path lies: the longest beginning of the path that is a module.
fn resolve(path: &[String], here: &Module, modules: &BTreeSet<Module>) -> Option<Module> {
    let first = path.first()?.as_str();
    let ups = path.iter().take_while(|step| *step == "super").count();
    let full: Module = match first {
        "crate" => path[1..].to_vec(),
        "super" => [&here[..here.len().checked_sub(ups)?], &path[ups..]].concat(),
        "self" => [here, &path[1..]].concat(),
        _ if modules.contains(&[here.as_slice(), &path[..1]].concat()) => [here, path].concat(),
        _ => return None,
    };
    (0..=full.len()).rev().map(|length| full[..length].to_vec()).find(|beginning| modules.contains(beginning))
}

/// Collects the paths that a file names, in imports and in code, outside of tests.
struct Paths {
    found: Vec<Vec<String>>,
}

impl Paths {
    fn add_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.add_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.found.push(with(&name.ident)),
            syn::UseTree::Rename(rename) => self.found.push(with(&rename.ident)),
            syn::UseTree::Glob(_) => self.found.push(before.to_vec()),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.add_tree(before, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.ident != "tests" {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.found.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }
}
