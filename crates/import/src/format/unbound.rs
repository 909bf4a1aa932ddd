//! Not read yet.

use crate::{ImportError, IncludeReader, SourceFile, draft::Draft};

pub(crate) fn read(
    _: &[SourceFile],
    _: &mut dyn IncludeReader,
    _: &mut Draft<'_>,
) -> Result<(), ImportError> {
    Err(ImportError::Invalid(
        "this format is not read yet".to_owned(),
    ))
}
