-- People with accounts. Hashes are SHA-256 in hexadecimal. Times are milliseconds since 1970.
create table people (
    id text primary key,
    -- The owner of the person's conversations: the id, or 'local' where the person has adopted those of a server
    -- without accounts.
    owner text not null unique,
    -- In lower case and NFC.
    email text not null unique,
    -- The email as Unicode says that it looks: two addresses that look alike have one.
    likeness text not null unique,
    name text not null default '',
    -- member or admin
    role text not null,
    -- JSON: names of groups.
    member_of text not null default '[]',
    -- Argon2id; none for a person who signs in otherwise.
    password text,
    disabled_at integer,
    created_at integer not null
);

create table sessions (
    hash text primary key,
    id text not null unique,
    person text not null references people (id),
    created_at integer not null,
    seen_at integer not null,
    expires_at integer not null,
    -- From where and by which program the person signed in.
    address text not null,
    agent text not null
);
create index sessions_of_person on sessions (person);

-- Keys for programs.
create table api_keys (
    hash text primary key,
    id text not null unique,
    person text not null references people (id),
    name text not null,
    -- JSON: chat, models, read.
    scopes text not null,
    created_at integer not null,
    seen_at integer,
    expires_at integer
);
create index api_keys_of_person on api_keys (person);

-- Links that let one person in, once.
create table invitations (
    hash text primary key,
    email text not null,
    likeness text not null,
    role text not null,
    -- The person whose password it sets anew; none for a new person.
    person text references people (id),
    created_at integer not null,
    expires_at integer not null,
    used_at integer
);
create index invitations_of_person on invitations (person);

-- What was done with accounts. Rows are only added.
create table audit (
    key integer primary key,
    at integer not null,
    what text not null,
    -- Who did it and to whom: emails, or 'command line'.
    actor text not null,
    subject text not null,
    address text not null
);
create index audit_by_time on audit (at, key);

-- Grows with each change that can end a session or a key, so that every server notices it.
create table access_epoch (
    epoch integer not null
);
insert into access_epoch (epoch) values (1);
