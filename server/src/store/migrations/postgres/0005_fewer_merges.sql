-- Only SQLite's search index needs a change.
select 1;
