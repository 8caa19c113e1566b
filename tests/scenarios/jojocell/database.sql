-- A database to try agent.toml on.
create table profiles (user_id text primary key, display_name text, email text, phone text);
create table sessions (id integer primary key, user_id text not null references profiles (user_id), device text);
create index sessions_of_user on sessions (user_id);
create table reviews (id integer primary key, user_id text, stars integer, comment text);
create index reviews_of_user on reviews (user_id);
insert into profiles values ('u-1001', 'Ann', 'ann@example.org', '+41446681800'), ('u-1002', 'Bob', 'bob@example.org', null);
insert into sessions values (1, 'u-1001', 'telephone'), (2, 'u-1001', 'tablet'), (3, 'u-1002', 'telephone');
insert into reviews values (1, 'u-1001', 4, 'Ann here: a little noise'), (2, 'u-1002', 5, 'fine');
