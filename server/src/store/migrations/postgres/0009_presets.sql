-- The presets of each owner.
create table presets (
    owner text not null,
    -- The name in lower case, by which it is found.
    folded text not null,
    -- JSON.
    content text not null,
    primary key (owner, folded)
);
