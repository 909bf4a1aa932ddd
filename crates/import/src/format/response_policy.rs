//! Not read yet.

use crate::{ImportError, SourceFile, draft::Draft};

pub(crate) fn read(_: &[SourceFile], _: &mut Draft<'_>) -> Result<(), ImportError> {
    Err(ImportError::Invalid(
        "this format is not read yet".to_owned(),
    ))
}
