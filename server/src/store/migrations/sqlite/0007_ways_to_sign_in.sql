-- Who a person is at a provider of OpenID Connect.
create table identities (
    issuer text not null,
    -- The provider's name for the person, which never changes.
    subject text not null,
    person text not null references people (id),
    created_at integer not null,
    primary key (issuer, subject)
);
create index identities_of_person on identities (person);
-- The token by which the provider recognizes the session when the person signs out.
alter table sessions add column id_token text;

create table passkeys (
    -- The id of the credential, in hexadecimal.
    id text primary key,
    person text not null references people (id),
    name text not null,
    -- JSON: the public key and what is checked with it.
    credential text not null,
    created_at integer not null,
    seen_at integer
);
create index passkeys_of_person on passkeys (person);
