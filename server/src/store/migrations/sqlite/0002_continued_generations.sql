-- What a generation made of its message and how it ended, noted when another generation continues the
-- message. Until then that stands in the message alone. The text of a message only grows, so the
-- lengths in bytes are enough to find the text again.
alter table generations add column text_bytes integer;
alter table generations add column reasoning_bytes integer;
alter table generations add column marks blob;
alter table generations add column state text;
alter table generations add column finish text;
alter table generations add column error text;
alter table generations add column usage text;
alter table generations add column model text;
