-- A part of a search index is merged when half of its rows are removed, not a tenth: removing all rows of a
-- part then writes it about once, not ten times.
insert into message_words (message_words, rank) values ('deletemerge', 50);
insert into title_words (title_words, rank) values ('deletemerge', 50);
