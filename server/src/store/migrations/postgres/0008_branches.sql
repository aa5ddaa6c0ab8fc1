-- Whether a person has written or changed the text of a reply.
alter table messages add column edited bigint not null default 0;
-- Messages that were deleted, with what follows them, are a deleted conversation of their own. It says from which
-- conversation they are, and which message they followed there.
alter table conversations add column cut_from text;
alter table conversations add column cut_after text;
