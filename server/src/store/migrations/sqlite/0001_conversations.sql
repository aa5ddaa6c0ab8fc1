-- Conversations, each a tree of messages.
create table conversations (
    key integer primary key,
    -- Made by the client.
    id text not null unique,
    owner text not null,
    title text not null,
    -- 0: by its first words, 1: by the model, 2: by the person.
    titled_by integer not null,
    pinned integer not null default 0,
    -- The message at the end of the path that is shown.
    leaf text,
    -- Times are milliseconds since 1970.
    created_at integer not null,
    updated_at integer not null,
    -- When a reply in it last ended, and when it was last read: unread if the first is later.
    ended_at integer not null default 0,
    read_at integer not null default 0,
    -- Deleted ones are kept for a while, so that they can be restored.
    deleted_at integer,
    -- Of an import that has not finished.
    import text
);
create index conversations_listed on conversations (owner, pinned desc, updated_at desc, key desc)
    where deleted_at is null and import is null;
create index conversations_imported on conversations (import) where import is not null;
create index conversations_deleted on conversations (deleted_at) where deleted_at is not null;

create table messages (
    key integer primary key,
    id text not null unique,
    conversation integer not null references conversations (key),
    owner text not null,
    -- The id of the message that it follows.
    parent text,
    -- user or assistant
    role text not null,
    text text not null,
    reasoning text not null default '',
    -- How text and reasoning were cut into events.
    marks blob not null default x'',
    model text,
    -- JSON.
    parameters text,
    usage text,
    first_token_ms integer,
    duration_ms integer,
    thinking_ms integer,
    -- streaming, done, error or interrupted
    state text not null,
    -- Of what is done.
    finish text,
    -- Of what failed, as JSON.
    error text,
    -- The generation that made it, or makes it.
    generation text,
    created_at integer not null
);
create index messages_of_conversation on messages (conversation, key);
create index messages_running on messages (conversation) where state = 'streaming';

-- Replies that were begun, by the request that began them.
create table generations (
    id text primary key,
    owner text not null,
    request_id text not null,
    message text not null,
    conversation integer not null references conversations (key),
    unique (owner, request_id)
);
create index generations_of_conversation on generations (conversation);

-- What has come of replies that are being made, beyond what stands in their messages.
create table pieces (
    generation text not null,
    number integer not null,
    owner text not null,
    text text not null,
    reasoning text not null,
    marks blob not null,
    primary key (generation, number)
) without rowid;

-- The words of messages and of titles, under the keys of their rows. The texts themselves stand
-- only there.
create virtual table message_words using fts5 (
    owner, words,
    content = '', contentless_delete = 1,
    tokenize = "unicode61 remove_diacritics 0 categories 'L* N* Co Mc Mn'",
    prefix = '1 2 3'
);
create virtual table title_words using fts5 (
    owner, words,
    content = '', contentless_delete = 1,
    tokenize = "unicode61 remove_diacritics 0 categories 'L* N* Co Mc Mn'",
    prefix = '1 2 3'
);
