//! The server functions. The parameters of each are the fields of the JSON that is posted. The method of
//! [`Library`](super::Library) with the same name documents what it does.

#![expect(
    missing_docs,
    reason = "the macro makes a struct from each function, whose fields are the parameters"
)]

use leptos::prelude::server;
use leptos::server_fn::codec::Json;

use crate::protocol::saved::{ConversationDetail, ConversationList, OutlineQuestion, SearchHits};
use crate::protocol::{ErrorBody, Id, Preset};

#[server(name = ListConversations, prefix = "/api/conversations", endpoint = "list", input = Json, output = Json)]
pub async fn list(
    before: Option<String>,
    limit: Option<u32>,
) -> Result<ConversationList, ErrorBody> {
    super::use_library()?.list(before, limit).await
}

#[server(name = GetConversation, prefix = "/api/conversations", endpoint = "get", input = Json, output = Json)]
pub async fn get(id: Id) -> Result<ConversationDetail, ErrorBody> {
    super::use_library()?.get(id).await
}

#[server(name = GetPath, prefix = "/api/conversations", endpoint = "path", input = Json, output = Json)]
pub async fn path(
    id: Id,
    last: Option<Id>,
    through: Option<Id>,
    version: Option<u32>,
    limit: Option<u32>,
) -> Result<ConversationDetail, ErrorBody> {
    let part = super::PathPart {
        id,
        last,
        through,
        version,
        limit,
    };
    super::use_library()?.path(part).await
}

#[server(name = GetOutline, prefix = "/api/conversations", endpoint = "outline", input = Json, output = Json)]
pub async fn outline(id: Id) -> Result<Vec<OutlineQuestion>, ErrorBody> {
    super::use_library()?.outline(id).await
}

#[server(name = RenameConversation, prefix = "/api/conversations", endpoint = "rename", input = Json, output = Json)]
pub async fn rename(id: Id, title: String) -> Result<(), ErrorBody> {
    super::use_library()?.rename(id, title).await
}

#[server(name = PinConversation, prefix = "/api/conversations", endpoint = "pin", input = Json, output = Json)]
pub async fn pin(id: Id, pinned: bool) -> Result<(), ErrorBody> {
    super::use_library()?.pin(id, pinned).await
}

#[server(name = DeleteConversation, prefix = "/api/conversations", endpoint = "delete", input = Json, output = Json)]
pub async fn delete(id: Id) -> Result<(), ErrorBody> {
    super::use_library()?.delete(id).await
}

#[server(name = RestoreConversation, prefix = "/api/conversations", endpoint = "restore", input = Json, output = Json)]
pub async fn restore(id: Id) -> Result<(), ErrorBody> {
    super::use_library()?.restore(id).await
}

#[server(name = EditReply, prefix = "/api/conversations", endpoint = "edit_reply", input = Json, output = Json)]
pub async fn edit_reply(id: Id, message: Id, text: String) -> Result<String, ErrorBody> {
    super::use_library()?.edit_reply(id, message, text).await
}

#[server(name = ForkConversation, prefix = "/api/conversations", endpoint = "fork", input = Json, output = Json)]
pub async fn fork(id: Id, message: Id, into: Id) -> Result<String, ErrorBody> {
    super::use_library()?.fork(id, message, into).await
}

#[server(name = DeleteMessages, prefix = "/api/conversations", endpoint = "delete_messages", input = Json, output = Json)]
pub async fn delete_messages(id: Id, message: Id) -> Result<String, ErrorBody> {
    super::use_library()?.delete_messages(id, message).await
}

#[server(name = ListPresets, prefix = "/api/presets", endpoint = "list", input = Json, output = Json)]
pub async fn presets() -> Result<Vec<Preset>, ErrorBody> {
    super::use_library()?.presets().await
}

#[server(name = SavePreset, prefix = "/api/presets", endpoint = "save", input = Json, output = Json)]
pub async fn save_preset(preset: Preset, replaces: Option<String>) -> Result<(), ErrorBody> {
    super::use_library()?.save_preset(preset, replaces).await
}

#[server(name = DeletePreset, prefix = "/api/presets", endpoint = "delete", input = Json, output = Json)]
pub async fn delete_preset(name: String) -> Result<(), ErrorBody> {
    super::use_library()?.delete_preset(name).await
}

#[server(name = ShowMessage, prefix = "/api/conversations", endpoint = "show", input = Json, output = Json)]
pub async fn show(id: Id, leaf: Id) -> Result<(), ErrorBody> {
    super::use_library()?.show(id, leaf).await
}

#[server(name = ReadConversation, prefix = "/api/conversations", endpoint = "read", input = Json, output = Json)]
pub async fn read(id: Id) -> Result<(), ErrorBody> {
    super::use_library()?.read(id).await
}

#[server(name = SearchConversations, prefix = "/api/conversations", endpoint = "search", input = Json, output = Json)]
pub async fn search(query: String, limit: Option<u32>) -> Result<SearchHits, ErrorBody> {
    super::use_library()?.search(query, limit).await
}
