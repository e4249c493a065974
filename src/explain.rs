//! `baton explain`: the pages of `docs/errors`, compiled in.

use anyhow::bail;

/// Code and page, in the order of the codes. The build script makes it from the folder.
const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/error_pages.rs"));

/// The page of a code, in whatever case it is written.
pub(crate) fn page(code: &str) -> anyhow::Result<&'static str> {
    match PAGES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(code))
    {
        Some((_, page)) => Ok(page),
        None => bail!("there is no error code `{code}`; `baton explain` lists them all"),
    }
}

/// Every code with its title.
pub(crate) fn list() -> String {
    PAGES
        .iter()
        .map(|(code, page)| format!("{}\n", title(code, page)))
        .collect()
}

/// `# CFG-101: the title` without its mark.
fn title<'a>(code: &'a str, page: &'a str) -> &'a str {
    page.lines()
        .next()
        .and_then(|line| line.strip_prefix("# "))
        .unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_titled_with_its_code() {
        assert!(!PAGES.is_empty());
        for (code, page) in PAGES {
            assert!(
                title(code, page).starts_with(&format!("{code}: ")),
                "{code}"
            );
        }
    }

    #[test]
    fn a_code_is_found_in_any_case_and_an_unknown_one_is_refused() {
        assert!(page("cfg-103").expect("known").contains("## Remedy"));
        assert!(page("CFG-999").is_err());
        assert!(list().contains("CFG-103: unknown section or option\n"));
    }
}
