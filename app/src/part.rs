//! Parts of the page that are files of their own, loaded when they are needed.
//!
//! With the feature `split` (and `cargo leptos build --split`, which cuts the wasm) a part is fetched at
//! its first call. Without it, as while developing, everything is one file and the call is a call. Both
//! ways it is the same function; a file that cannot be had is an error to show, never a panic, and the
//! next call tries again.

/// The file of a part could not be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a part of the page could not be loaded")]
pub struct NotLoaded;

#[cfg(feature = "split")]
impl From<leptos::wasm_split::SplitLoaderError> for NotLoaded {
    fn from(_: leptos::wasm_split::SplitLoaderError) -> Self {
        Self
    }
}

/// Makes a function the way into a part of the same name. Calling it gives a future of its result, or
/// [`NotLoaded`].
macro_rules! part {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $output:ty $body:block) => {
        $(#[$attribute])*
        #[cfg(feature = "split")]
        #[leptos::wasm_split::wasm_split($name, wasm_split_path = leptos::wasm_split, fallible)]
        $visibility fn $name($($argument: $type),*) -> Result<$output, $crate::part::NotLoaded> {
            Ok($body)
        }

        $(#[$attribute])*
        #[cfg(not(feature = "split"))]
        $visibility async fn $name($($argument: $type),*) -> Result<$output, $crate::part::NotLoaded> {
            Ok($body)
        }
    };
}

pub(crate) use part;
