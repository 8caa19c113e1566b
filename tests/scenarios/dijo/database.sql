-- A database to try agent.toml on.
create table users (id text primary key, email text, phone text);
create table messages (id integer primary key, user_id text not null references users (id), said text);
create index messages_of_user on messages (user_id);
insert into users values ('k-31', 'kim@example.org', '+493012345'), ('l-32', 'lee@example.org', '+493067890'), ('m-33', null, null);
insert into messages values (1, 'k-31', 'Hello'), (2, 'k-31', 'Lee?'), (3, 'l-32', 'Kim!'), (4, 'm-33', 'Hm.');
