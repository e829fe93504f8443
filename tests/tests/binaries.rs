//! The functions' binaries from `make build` can start in Lambda.

use std::fs;

use object::Endianness;
use object::elf::{EM_AARCH64, EM_X86_64, FileHeader64, SHT_SYMTAB};
use object::read::elf::{FileHeader, SectionHeader};
use s3ferry_tests::tools;

/// Functions that the templates deploy.
const FUNCTIONS: [&str; 3] = ["replicator", "final-sync", "bucket-wiring"];

/// Version of glibc in Amazon Linux 2023: <https://docs.aws.amazon.com/linux/al2023/ug/core-glibc.html>.
const NEWEST_GLIBC: (u32, u32) = (2, 34);

fn bootstrap(function: &str) -> Vec<u8> {
    let path = tools::function(function).unwrap_or_else(|error| panic!("{error}"));
    fs::read(&path).unwrap_or_else(|error| panic!("failed to read {}: {error}", path.display()))
}

/// Returns the symbol versions that a binary requires, such as `GLIBC_2.17`.
fn needed_versions(elf: &[u8]) -> object::read::Result<Vec<String>> {
    let header = FileHeader64::<Endianness>::parse(elf)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, elf)?;
    let mut versions = Vec::new();
    if let Some((mut libraries, link)) = sections.gnu_verneed(endian, elf)? {
        let names = sections.strings(endian, elf, link)?;
        while let Some((_, mut symbols)) = libraries.next()? {
            while let Some(symbol) = symbols.next()? {
                versions.push(String::from_utf8_lossy(symbol.name(endian, names)?).into_owned());
            }
        }
    }
    Ok(versions)
}

fn glibc(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.strip_prefix("GLIBC_")?.split_once('.')?;
    // Old versions have a third number: GLIBC_2.2.5.
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

#[test]
fn functions_start_with_the_glibc_of_amazon_linux_2023() {
    for function in FUNCTIONS {
        let versions = needed_versions(&bootstrap(function)).expect("an ELF file");
        let newest = versions.iter().filter_map(|version| glibc(version)).max();
        let newest = newest.unwrap_or_else(|| panic!("{function} requires no glibc: {versions:?}"));
        assert!(
            newest <= NEWEST_GLIBC,
            "{function} requires glibc {}.{}",
            newest.0,
            newest.1
        );
    }
}

#[test]
fn functions_are_stripped_and_of_an_architecture_of_lambda() {
    for function in FUNCTIONS {
        let elf = bootstrap(function);
        let header = FileHeader64::<Endianness>::parse(elf.as_slice()).expect("an ELF file");
        let endian = header.endian().expect("an ELF file");
        let machine = header.e_machine(endian);
        assert!(
            [EM_X86_64, EM_AARCH64].contains(&machine),
            "{function} is for machine {machine}"
        );
        let sections = header.sections(endian, elf.as_slice()).expect("sections");
        assert!(
            sections.iter().all(|section| section.sh_type(endian) != SHT_SYMTAB),
            "{function} has symbols"
        );
    }
}

#[test]
fn versions_of_glibc_are_compared_as_numbers() {
    assert_eq!(glibc("GLIBC_2.2.5"), Some((2, 2)));
    assert!(glibc("GLIBC_2.9") < glibc("GLIBC_2.34"));
    assert_eq!(glibc("GCC_3.0"), None);
}
