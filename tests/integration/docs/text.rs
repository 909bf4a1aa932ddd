//! Reads the documents: fenced blocks, inline code, links.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The repository.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A document of the repository.
pub(crate) struct Document {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// A fenced block.
pub(crate) struct Block {
    /// `file:line` of its fence.
    pub(crate) place: String,
    pub(crate) language: String,
    pub(crate) text: String,
}

/// Every Markdown document at the top of the repository and under `docs`.
pub(crate) fn documents() -> Vec<Document> {
    let mut paths = files_of(Path::new(ROOT), false);
    paths.extend(files_of(&Path::new(ROOT).join("docs"), true));
    let documents: Vec<Document> = paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .map(|path| Document {
            text: fs::read_to_string(&path).expect("a text"),
            path,
        })
        .collect();
    assert!(documents.len() >= 5, "README and its companions");
    documents
}

/// The files of a directory, and of those below it if asked for; none if there is no such one.
pub(crate) fn files_of(dir: &Path, below: bool) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            files.insert(path);
        } else if below {
            files.extend(files_of(&path, below));
        }
    }
    files
}

impl Document {
    /// The path within the repository.
    pub(crate) fn name(&self) -> String {
        let path = self.path.strip_prefix(ROOT).expect("of the repository");
        path.display().to_string()
    }

    /// The fenced blocks.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (at, line) in self.text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(language), None) => {
                    open = Some(Block {
                        place: format!("{}:{}", self.name(), at + 1),
                        language: language.to_owned(),
                        text: String::new(),
                    });
                }
                (Some(_), Some(block)) => blocks.push(block),
                (None, Some(mut block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a fence is not closed", self.name());
        blocks
    }

    /// The text without its fenced blocks.
    pub(crate) fn prose(&self) -> String {
        let mut within = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            let is_fence = line.trim_start().starts_with("```");
            within ^= is_fence;
            if !within && !is_fence {
                prose.push_str(line);
                prose.push('\n');
            }
        }
        prose
    }

    /// Code within the lines, its line breaks as spaces.
    pub(crate) fn code(&self) -> Vec<String> {
        let prose = self.prose();
        let code = prose.split('`').skip(1).step_by(2);
        code.map(|code| code.replace('\n', " ")).collect()
    }
}

/// The blocks of one language in all documents.
pub(crate) fn blocks(language: &str) -> Vec<Block> {
    let all = documents();
    let blocks = all.iter().flat_map(Document::blocks);
    blocks.filter(|block| block.language == language).collect()
}

#[test]
fn every_code_block_has_a_known_language() {
    for document in documents() {
        for block in document.blocks() {
            let known = ["yaml", "sh", "console", "rust", ""].contains(&&*block.language);
            assert!(
                known,
                "{}: {:?} is not checked",
                block.place, block.language
            );
        }
    }
}

#[test]
fn links_have_existing_targets() {
    let mut links = 0;
    for document in documents() {
        let prose = document.prose();
        let dir = document.path.parent().expect("a directory");
        for target in prose.split("](").skip(1) {
            let target = target.split(')').next().unwrap_or_default();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            links += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let name = document.name();
            let path = if file.is_empty() {
                document.path.clone()
            } else {
                dir.join(file)
            };
            assert!(path.exists(), "{name}: {target} does not exist");
            if !heading.is_empty() {
                let text = fs::read_to_string(&path).expect("a text");
                let known = text
                    .lines()
                    .any(|line| anchor(line).as_deref() == Some(heading));
                assert!(known, "{name}: {target} has no such heading");
            }
        }
    }
    assert!(links > 10, "{links}");
}

/// What a heading is called in links.
fn anchor(line: &str) -> Option<String> {
    let title = line.trim_start_matches('#').strip_prefix(' ')?;
    let kept = title.to_lowercase().replace(' ', "-");
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || "-_".contains(*c));
    line.starts_with('#').then(|| kept.collect())
}
