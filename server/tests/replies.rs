//! The life of a reply: its readers, its end, its prompt and its title.

mod crash;
mod disconnect;
mod prompts_and_titles;
mod readers;
mod saved;
