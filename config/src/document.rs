//! The documentation that is made from the option table: `config/baton.sample.toml` and `docs/configuration.md`.
//!
//! `cargo run -p baton-xtask -- docs` writes both; a test of this crate fails when they are older than the table.

use crate::config::Config;
use crate::ironic;
use crate::option::raw::Raw;
use crate::option::spec::Spec;
use crate::show::push;

/// The sample file: every option, commented out at its default.
#[must_use]
pub fn sample() -> String {
    let mut out = String::from(
        "# A sample configuration of baton: every option with its default.\n\
         #\n\
         # Uncomment what you change; leave the rest, so that better defaults reach you with an upgrade. Check with\n\
         # `baton config check FILE`, see the outcome with `baton config show FILE`. Any option can also be set by an\n\
         # environment variable named BATON__SECTION__KEY, which is stronger than this file.\n\
         # [live] marks what may change while baton runs: edit, then send SIGHUP.\n",
    );
    for section in Config::default().sections() {
        push(&mut out, format_args!("\n\n[{}]\n", section.name()));
        for line in lines(section.about()) {
            push(&mut out, format_args!("# {line}\n"));
        }
        for spec in section.specs() {
            push(&mut out, format_args!("\n"));
            for line in lines(spec.doc) {
                push(&mut out, format_args!("# {line}\n"));
            }
            push(
                &mut out,
                format_args!("# {}\n#{} ={}\n", facts(spec), spec.key, default(spec, " ")),
            );
        }
    }
    out
}

/// `docs/configuration.md`.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(
        "# Configuration\n\n\
         <!-- Made from the option table in config/src/sections by `cargo run -p baton-xtask -- docs`. Edit there. -->\n\n\
         baton reads one TOML file (`baton run --config FILE`). Options keep the names, sections and meanings that they\n\
         have in Ironic's `ironic.conf`; those that Ironic does not have are marked *baton*. Any option can be set by an\n\
         environment variable too, which is stronger than the file: `BATON__CONDUCTOR__SYNC_POWER_STATE_INTERVAL=60`;\n\
         lists are written there with commas.\n\n\
         `baton config check FILE` reports everything that is wrong at once; `baton config show FILE` prints the effective\n\
         values and where each came from. Options marked *live* change without a restart: edit the file, send SIGHUP. A reload that\n\
         would change any other option is refused as a whole, with the reason, and changes nothing. *planned* options are\n\
         accepted, so that a file can be complete, but have no effect in this version; setting one logs a warning.\n",
    );
    for section in Config::default().sections() {
        push(
            &mut out,
            format_args!(
                "\n## [{}]\n\n{}\n\n",
                section.name(),
                paragraph(section.about())
            ),
        );
        push(
            &mut out,
            format_args!(
                "Options that are not live: {}.\n\n",
                section.fixed_because()
            ),
        );
        out.push_str("| Option | Value | Default | Marks | Meaning |\n|---|---|---|---|---|\n");
        for spec in section.specs() {
            let bounds = spec
                .bounds()
                .map(|bounds| format!(", {bounds}"))
                .unwrap_or_default();
            let default = match spec.default {
                Raw::Unset => "unset".to_owned(),
                Raw::Bool(_)
                | Raw::Int(_)
                | Raw::Float(_)
                | Raw::Text(_)
                | Raw::Hidden(_)
                | Raw::List(_)
                | Raw::Table(_) => format!("`{}`", spec.default),
            };
            let (kind, doc) = (cell(&spec.kind), cell(&paragraph(spec.doc)));
            let marks = marks(spec).join(", ");
            push(
                &mut out,
                format_args!(
                    "| `{}` | {kind}{bounds} | {default} | {marks} | {doc} |\n",
                    spec.key
                ),
            );
        }
    }
    out.push_str(
        "\n## Options of Ironic that baton does not have\n\n\
         A file that sets one of these is refused with the text below.\n\n\
         | Option | Why, and what instead |\n|---|---|\n",
    );
    for (section, key, instead) in ironic::WITHOUT_USE {
        let name = if *key == "*" {
            format!("[{section}]")
        } else {
            format!("{section}.{key}")
        };
        push(&mut out, format_args!("| `{name}` | {} |\n", cell(instead)));
    }
    out
}

fn facts(spec: &Spec) -> String {
    let mut facts = vec![spec.kind.clone()];
    facts.extend(spec.bounds());
    let marks = marks(spec);
    let marks = if marks.is_empty() {
        String::new()
    } else {
        format!(" [{}]", marks.join("] ["))
    };
    format!("({}){marks}", facts.join("; "))
}

fn marks(spec: &Spec) -> Vec<&'static str> {
    let marks = [
        (spec.is_ours(), "baton"),
        (spec.is_live(), "live"),
        (spec.is_planned(), "planned"),
    ];
    marks
        .into_iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, mark)| mark)
        .collect()
}

fn default(spec: &Spec, before: &str) -> String {
    match spec.default {
        Raw::Unset => String::new(),
        Raw::Bool(_)
        | Raw::Int(_)
        | Raw::Float(_)
        | Raw::Text(_)
        | Raw::Hidden(_)
        | Raw::List(_)
        | Raw::Table(_) => format!("{before}{}", spec.default),
    }
}

/// A doc comment's lines without the space that follows `///`.
fn lines(doc: &str) -> impl Iterator<Item = &str> {
    doc.lines().map(str::trim).filter(|line| !line.is_empty())
}

fn paragraph(doc: &str) -> String {
    lines(doc).collect::<Vec<_>>().join(" ")
}

/// A text that may stand in a table cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
