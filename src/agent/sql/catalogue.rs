//! What a database says of its tables, columns, indexes and foreign keys.

use super::database::{Pool, Row, SqlError, Statement};

/// What a database has.
#[derive(Debug, Clone, Default)]
pub(super) struct Catalogue {
    pub(super) tables: Vec<Table>,
    pub(super) references: Vec<Reference>,
    /// Tables that inherit from others, each with the one that it inherits from.
    pub(super) heirs: Vec<(Place, Place)>,
}

/// A schema and a name.
pub(super) type Place = (String, String);

#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) schema: String,
    pub(super) name: String,
    /// Whether its name is enough without the schema.
    pub(super) is_visible: bool,
    pub(super) shape: Shape,
    pub(super) columns: Vec<Column>,
    /// The columns of its primary key.
    pub(super) key: Vec<String>,
    /// Whether other tables inherit from it: a statement on it concerns their rows as well, unless it says `only`.
    pub(super) has_heirs: bool,
    /// Whether the database shows this user some of its rows only, and says nothing of the others.
    pub(super) is_filtered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Table,
    /// PostgreSQL's: its rows have no place of their own. SQLite's without row ids.
    NoRowId,
    View,
}

#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    /// As the database writes it.
    pub(super) type_name: String,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
    /// The most characters.
    pub(super) length: Option<u32>,
    /// Whether an index begins with it.
    pub(super) indexed: bool,
    /// Whether it takes different texts for the same.
    pub(super) is_lax: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole number within these bounds.
    Int(i128, i128),
    Uuid,
    Text,
    Date,
    /// Nobody's identifier, but its text says all of it: decimal numbers, truth values, enumerations.
    Exact,
    /// Its text is not the whole of it, or does not lead back to it: bytes, floating-point numbers, documents.
    Other,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) child: Place,
    pub(super) parent: Place,
    /// The child's column and the parent's, where it is one of each.
    pub(super) columns: Option<(String, String)>,
    /// What becomes of the child's rows.
    pub(super) on_delete: OnDelete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDelete {
    Refuse,
    Delete,
    Clear,
}

const POSTGRES: &str = "\
select n.nspname::text, c.relname::text, c.relkind::text, pg_table_is_visible(c.oid)::text, a.attname::text, \
 case when t.typname = 'bpchar' then 'bpchar' else format_type(a.atttypid, null)::text end, (not a.attnotnull)::text, \
 case when a.atttypmod > 4 and t.typname in ('varchar', 'bpchar') then (a.atttypmod - 4)::text end, \
 exists(select 1 from pg_index i where i.indrelid = c.oid and i.indkey[0] = a.attnum and i.indisvalid \
   and i.indpred is null)::text, \
 (select array_position(i.indkey::int2[], a.attnum)::text from pg_index i where i.indrelid = c.oid and i.indisprimary \
   and a.attnum = any(i.indkey::int2[])), \
 (t.typname in ('citext', 'bpchar') or coalesce((select not o.collisdeterministic from pg_collation o \
   where o.oid = a.attcollation), false))::text, \
 (t.typtype = 'e')::text, (c.relkind = 'r' and c.relhassubclass)::text, row_security_active(c.oid)::text \
from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid \
join pg_type t on t.oid = a.atttypid \
where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition \
 and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_%' \
order by 1, 2, a.attnum";

const POSTGRES_REFERENCES: &str = "\
select cn.nspname::text, cc.relname::text, pn.nspname::text, pc.relname::text, k.confdeltype::text, \
 (select a.attname::text from pg_attribute a where a.attrelid = k.conrelid and k.conkey = array[a.attnum]), \
 (select a.attname::text from pg_attribute a where a.attrelid = k.confrelid and k.confkey = array[a.attnum]) \
from pg_constraint k join pg_class cc on cc.oid = k.conrelid join pg_namespace cn on cn.oid = cc.relnamespace \
join pg_class pc on pc.oid = k.confrelid join pg_namespace pn on pn.oid = pc.relnamespace \
where k.contype = 'f' and k.conparentid = 0 and not cc.relispartition order by 1, 2, 3, 4";

const POSTGRES_HEIRS: &str = "\
select cn.nspname::text, c.relname::text, pn.nspname::text, p.relname::text \
from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_namespace cn on cn.oid = c.relnamespace \
join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace \
where p.relkind = 'r' and c.relkind in ('r', 'f') order by 1, 2, 3, 4";

const MYSQL: &str = "\
select '', cast(t.table_name as char), cast(t.table_type as char), 'true', cast(c.column_name as char), \
 cast(c.column_type as char), if(c.is_nullable = 'YES', 'true', 'false'), cast(c.character_maximum_length as char), \
 if(exists(select 1 from information_schema.statistics s where s.table_schema = t.table_schema \
   and s.table_name = t.table_name and s.column_name = c.column_name and s.seq_in_index = 1), 'true', 'false'), \
 (select cast(s.seq_in_index as char) from information_schema.statistics s where s.table_schema = t.table_schema \
   and s.table_name = t.table_name and s.column_name = c.column_name and s.index_name = 'PRIMARY'), \
 if(c.collation_name is null, 'false', 'true') \
from information_schema.tables t join information_schema.columns c on c.table_schema = t.table_schema \
 and c.table_name = t.table_name where t.table_schema = database() \
order by t.table_name, c.ordinal_position";

const MYSQL_REFERENCES: &str = "\
select '', cast(r.table_name as char), '', cast(r.referenced_table_name as char), cast(r.delete_rule as char), \
 (select if(count(*) = 1, max(cast(u.column_name as char)), null) from information_schema.key_column_usage u \
   where u.constraint_schema = r.constraint_schema and u.constraint_name = r.constraint_name and u.table_name = r.table_name), \
 (select if(count(*) = 1, max(cast(u.referenced_column_name as char)), null) from information_schema.key_column_usage u \
   where u.constraint_schema = r.constraint_schema and u.constraint_name = r.constraint_name and u.table_name = r.table_name) \
from information_schema.referential_constraints r where r.constraint_schema = database() order by 2, 4";

const SQLITE: &str = "\
select '', m.name, case when m.type = 'view' then 'VIEW' when l.wr = 1 then 'WR' else 'TABLE' end, 'true', p.name, \
 cast(p.type as text), case when p.\"notnull\" = 0 then 'true' else 'false' end, null, \
 case when p.pk = 1 or exists(select 1 from pragma_index_list(m.name) il join pragma_index_info(il.name) ii \
   where ii.seqno = 0 and il.partial = 0 and ii.name = p.name) then 'true' else 'false' end, \
 case when p.pk > 0 then cast(p.pk as text) end, 'true' \
from sqlite_schema m join pragma_table_list l on l.name = m.name and l.schema = 'main' join pragma_table_info(m.name) p \
where m.type in ('table', 'view') and m.name not like 'sqlite\\_%' escape '\\' order by m.name, p.cid";

const SQLITE_REFERENCES: &str = "\
select '', m.name, '', f.\"table\", f.on_delete, \
 case when (select count(*) from pragma_foreign_key_list(m.name) g where g.id = f.id) = 1 then f.\"from\" end, \
 coalesce(f.\"to\", (select p.name from pragma_table_info(f.\"table\") p where p.pk = 1)) \
from sqlite_schema m join pragma_foreign_key_list(m.name) f \
where m.type = 'table' and f.seq = 0 order by 2, 4";

impl Catalogue {
    pub(super) async fn read(pool: &Pool) -> Result<Self, SqlError> {
        let (columns, references) = match pool {
            Pool::Postgres(_) => (POSTGRES, POSTGRES_REFERENCES),
            Pool::MySql(_) => (MYSQL, MYSQL_REFERENCES),
            Pool::Sqlite(_) => (SQLITE, SQLITE_REFERENCES),
        };
        let plain = |text: &str| Statement {
            text: text.to_owned(),
            values: Vec::new(),
        };
        let mut catalogue = Self::default();
        for row in pool.read("the catalogue", plain(columns)).await? {
            catalogue.add_column(pool, &row);
        }
        for table in &mut catalogue.tables {
            table.key.sort();
            for column in &mut table.key {
                // The position has done its work.
                *column = column.split_off(4);
            }
        }
        for row in pool.read("the catalogue", plain(references)).await? {
            catalogue.references.push(Reference {
                child: (text(&row, 0), text(&row, 1)),
                parent: (text(&row, 2), text(&row, 3)),
                on_delete: match text(&row, 4).as_str() {
                    "c" | "CASCADE" => OnDelete::Delete,
                    "n" | "d" | "SET NULL" | "SET DEFAULT" => OnDelete::Clear,
                    _ => OnDelete::Refuse,
                },
                columns: row.get(5).cloned().flatten().zip(row.get(6).cloned().flatten()),
            });
        }
        if let Pool::Postgres(_) = pool {
            for row in pool.read("the catalogue", plain(POSTGRES_HEIRS)).await? {
                let (heir, of) = ((text(&row, 0), text(&row, 1)), (text(&row, 2), text(&row, 3)));
                catalogue.heirs.push((heir, of));
            }
        }
        Ok(catalogue)
    }

    fn add_column(&mut self, pool: &Pool, row: &Row) {
        let (schema, name) = (text(row, 0), text(row, 1));
        let is_known = self
            .tables
            .last()
            .is_some_and(|table| table.schema == schema && table.name == name);
        if !is_known {
            self.tables.push(Table {
                schema,
                name,
                is_visible: text(row, 3) == "true",
                shape: match text(row, 2).as_str() {
                    "r" | "BASE TABLE" | "TABLE" => Shape::Table,
                    "p" | "WR" => Shape::NoRowId,
                    _ => Shape::View,
                },
                columns: Vec::new(),
                key: Vec::new(),
                has_heirs: text(row, 12) == "true",
                is_filtered: text(row, 13) == "true",
            });
        }
        let Some(table) = self.tables.last_mut() else {
            return;
        };
        let type_name = text(row, 5);
        let column = Column {
            kind: if text(row, 11) == "true" {
                Kind::Exact
            } else {
                kind_of(pool, &type_name)
            },
            name: text(row, 4),
            nullable: text(row, 6) == "true",
            length: text(row, 7).parse().ok(),
            indexed: text(row, 8) == "true",
            is_lax: text(row, 10) == "true",
            type_name,
        };
        if let Some(place) = row.get(9).and_then(Option::as_deref) {
            table.key.push(format!("{place:0>4}{}", column.name));
        }
        table.columns.push(column);
    }

    /// The table of a name: with its schema, or without where that is enough.
    pub(super) fn find(&self, name: &str) -> Option<&Table> {
        let by_schema = || {
            let (schema, name) = name.split_once('.')?;
            self.tables
                .iter()
                .find(|table| table.schema == schema && table.name == name)
        };
        let plain = self
            .tables
            .iter()
            .find(|table| table.is_visible && table.name == name);
        plain.or_else(by_schema)
    }
}

impl Table {
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    pub(super) fn place(&self) -> Place {
        (self.schema.clone(), self.name.clone())
    }

    /// As people know it.
    pub(super) fn shown(&self) -> String {
        if self.schema.is_empty() || self.is_visible {
            self.name.clone()
        } else {
            format!("{}.{}", self.schema, self.name)
        }
    }
}

fn text(row: &Row, n: usize) -> String {
    row.get(n).cloned().flatten().unwrap_or_default()
}

fn kind_of(pool: &Pool, type_name: &str) -> Kind {
    let lower = type_name.to_ascii_lowercase();
    let word = lower.split(['(', ' ']).next().unwrap_or_default();
    let int = |bits: u32| {
        if lower.contains("unsigned") {
            Kind::Int(0, (1_i128 << bits) - 1)
        } else {
            Kind::Int(-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1)
        }
    };
    if matches!(pool, Pool::Sqlite(_)) {
        return match lower.as_str() {
            lower if lower.contains("int") => int(64),
            lower if lower.contains("char") || lower.contains("clob") || lower.contains("text") => Kind::Text,
            lower if lower.contains("date") || lower.contains("time") => Kind::Date,
            lower if lower.contains("uuid") => Kind::Text,
            lower if lower.contains("bool") => Kind::Exact,
            _ => Kind::Other,
        };
    }
    match word {
        "tinyint" => int(8),
        "smallint" => int(16),
        "mediumint" => int(24),
        "int" | "integer" => int(32),
        "bigint" => int(64),
        "uuid" => Kind::Uuid,
        "text" | "bpchar" | "character" | "citext" | "name" | "char" | "varchar" | "tinytext"
        | "mediumtext" | "longtext" => Kind::Text,
        "date" | "datetime" | "timestamp" => Kind::Date,
        "numeric" | "decimal" | "boolean" | "enum" | "inet" | "cidr" | "macaddr" => Kind::Exact,
        _ => Kind::Other,
    }
}
