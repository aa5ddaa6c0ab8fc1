-- Ids are UUIDs in one form, lower case with hyphens. Imports kept other spellings of them, in which a
-- conversation was listed but not found.
create table respelled (key bigint primary key, id text not null);
insert into respelled (key, id)
select key,
    substr(plain, 1, 8) || '-' || substr(plain, 9, 4) || '-' || substr(plain, 13, 4) || '-'
        || substr(plain, 17, 4) || '-' || substr(plain, 21)
from (
    select key, id, replace(replace(replace(replace(lower(id), 'urn:uuid:', ''), '{', ''), '}', ''), '-', '') as plain
    from conversations
) spelled
where length(plain) = 32;
delete from respelled where id = (select c.id from conversations c where c.key = respelled.key);
-- Of several spellings of one id, the one that has the right form keeps it, or else the oldest. The
-- others are conversations of their own and get an id of their own.
update respelled set id = cast(cast(md5(random()::text || key || clock_timestamp()) as uuid) as text)
where exists (select 1 from conversations c where c.id = respelled.id)
    or exists (select 1 from respelled o where o.id = respelled.id and o.key < respelled.key);
update conversations set id = (select r.id from respelled r where r.key = conversations.key)
where key in (select key from respelled);
drop table respelled;

-- The ids of generations had no hyphens.
update generations set id = substr(id, 1, 8) || '-' || substr(id, 9, 4) || '-' || substr(id, 13, 4) || '-'
        || substr(id, 17, 4) || '-' || substr(id, 21)
where length(id) = 32;
update messages set generation = substr(generation, 1, 8) || '-' || substr(generation, 9, 4) || '-' || substr(generation, 13, 4) || '-'
        || substr(generation, 17, 4) || '-' || substr(generation, 21)
where length(generation) = 32;
update pieces set generation = substr(generation, 1, 8) || '-' || substr(generation, 9, 4) || '-' || substr(generation, 13, 4) || '-'
        || substr(generation, 17, 4) || '-' || substr(generation, 21)
where length(generation) = 32;
