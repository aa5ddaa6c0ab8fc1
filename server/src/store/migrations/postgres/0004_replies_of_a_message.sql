-- Finds the messages that follow another one.
create index messages_after on messages (conversation, parent, key);
