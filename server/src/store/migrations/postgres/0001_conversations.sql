-- Conversations, each a tree of messages.
create table conversations (
    key bigint generated always as identity primary key,
    -- Made by the client.
    id text not null unique,
    owner text not null,
    title text not null,
    title_words tsvector not null default '',
    -- 0: by its first words, 1: by the model, 2: by the person.
    titled_by bigint not null,
    pinned bigint not null default 0,
    -- The message at the end of the path that is shown.
    leaf text,
    -- Times are milliseconds since 1970.
    created_at bigint not null,
    updated_at bigint not null,
    -- When a reply in it last ended, and when it was last read: unread if the first is later.
    ended_at bigint not null default 0,
    read_at bigint not null default 0,
    -- Deleted ones are kept for a while, so that they can be restored.
    deleted_at bigint,
    -- Of an import that has not finished.
    import text
);
create index conversations_listed on conversations (owner, pinned desc, updated_at desc, key desc)
    where deleted_at is null and import is null;
create index conversations_imported on conversations (import) where import is not null;
create index conversations_deleted on conversations (deleted_at) where deleted_at is not null;
create index conversations_words on conversations using gin (title_words);

create table messages (
    key bigint generated always as identity primary key,
    id text not null unique,
    conversation bigint not null references conversations (key),
    owner text not null,
    -- The id of the message that it follows.
    parent text,
    -- user or assistant
    role text not null,
    text text not null,
    words tsvector not null default '',
    reasoning text not null default '',
    -- How text and reasoning were cut into events.
    marks bytea not null default '',
    model text,
    -- JSON.
    parameters text,
    usage text,
    first_token_ms bigint,
    duration_ms bigint,
    thinking_ms bigint,
    -- streaming, done, error or interrupted
    state text not null,
    -- Of what is done.
    finish text,
    -- Of what failed, as JSON.
    error text,
    -- The generation that made it, or makes it.
    generation text,
    created_at bigint not null
);
create index messages_of_conversation on messages (conversation, key);
create index messages_running on messages (conversation) where state = 'streaming';
create index messages_words on messages using gin (words);

-- Replies that were begun, by the request that began them.
create table generations (
    id text primary key,
    owner text not null,
    request_id text not null,
    message text not null,
    conversation bigint not null references conversations (key),
    unique (owner, request_id)
);
create index generations_of_conversation on generations (conversation);

-- What has come of replies that are being made, beyond what stands in their messages.
create table pieces (
    generation text not null,
    number bigint not null,
    owner text not null,
    text text not null,
    reasoning text not null,
    marks bytea not null,
    primary key (generation, number)
);
