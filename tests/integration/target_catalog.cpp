// What a target's catalogs say, field by field.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <chrono>

#include "support/target.hpp"

namespace diastole {
namespace {

using core::CatalogDependent;
using core::CatalogRelation;
using core::CatalogRequest;
using core::CatalogSnapshot;
using core::ConstraintKind;
using core::DependentKind;
using core::RelationKind;
using core::RelationName;
using test::OpenTransaction;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class CatalogTest : public test::TargetTest {
 protected:
  [[nodiscard]] CatalogSnapshot read(const CatalogRequest& request) { return expect_ok(target_->catalog(request)); }
  [[nodiscard]] CatalogSnapshot about(const std::vector<std::string>& tables) {
    CatalogRequest request;
    for (const auto& table : tables) request.relations.push_back({"", table});
    return read(request);
  }
  // The relation, which must be there.
  static const CatalogRelation& in(const CatalogSnapshot& catalog, const std::string& name,
                                   const std::string& schema = "public") {
    static const CatalogRelation kNone;
    const auto* found = catalog.relation({schema, name});
    EXPECT_NE(found, nullptr) << name;
    return found ? *found : kNone;
  }
  static std::vector<std::string> names(const CatalogSnapshot& catalog) {
    std::vector<std::string> out;
    for (const auto& relation : catalog.relations) out.push_back(relation.name.name);
    return out;
  }
  // "view public.v", "trigger public.t on users (a, b)", "function public.f ~": one line a dependent.
  static std::string line(const CatalogDependent& dependent) {
    std::string out = std::string(to_string(dependent.kind)) + " " + dependent.name.schema + "." + dependent.name.name;
    if (!dependent.inputs.empty()) out += "(" + dependent.inputs + ")";
    if (!dependent.table.empty()) out += " on " + dependent.table;
    for (const auto& column : dependent.columns) out += (&column == &dependent.columns.front() ? " (" : ", ") + column;
    return out + (dependent.columns.empty() ? "" : ")") + (dependent.certain ? "" : " ~");
  }
  static std::vector<std::string> lines(const CatalogRelation& relation) {
    std::vector<std::string> out;
    for (const auto& dependent : relation.dependents) out.push_back(line(dependent));
    return out;
  }
};

MATCHER_P2(Named, schema, name, "") {
  return arg == (RelationName{schema, name});
}

TEST_F(CatalogTest, TheSessionIsTheOneThatRunsTheStatements) {
  run("CREATE SCHEMA app; ALTER DATABASE " + value("SELECT quote_ident(current_database())") +
      " SET search_path = app, missing, public; SET search_path = public");
  const auto fresh = another_target();
  const auto catalog = expect_ok(fresh->catalog({}));
  EXPECT_EQ(catalog.search_path, (std::vector<std::string>{"pg_catalog", "app", "public"}));
  EXPECT_EQ(catalog.server_version, admin_.server_version());
  EXPECT_EQ(catalog.time_zone, "UTC");
  EXPECT_THAT(catalog.relations, IsEmpty());
}

TEST_F(CatalogTest, TheRoleDiastoleDoesNotLookInItsOwnSchema) {
  run("CREATE ROLE diastole LOGIN; GRANT USAGE ON SCHEMA diastole TO diastole");
  const auto ours = postgres::make_target(TargetName{"main"}, dsn_ + " user=diastole", kOwner, log_);
  EXPECT_EQ(expect_ok(ours->catalog({})).search_path, (std::vector<std::string>{"pg_catalog", "public"}));
  run("DROP OWNED BY diastole; DROP ROLE diastole");
}

TEST_F(CatalogTest, NamesFollowTheSearchPathAndAreNeitherFoldedNorQuoted) {
  run("CREATE SCHEMA app; CREATE TABLE app.users (a int); CREATE TABLE users (b int); CREATE TABLE app.hidden (c int); "
      "CREATE TABLE \"Odd \"\"Table\" (\"Col Umn\" int); CREATE TABLE odd (d int)");
  const auto by_path = about({"users", "missing", "hidden", "Odd \"Table", "ODD"});
  EXPECT_THAT(names(by_path), UnorderedElementsAre("users", "Odd \"Table"));
  EXPECT_EQ(in(by_path, "users").columns.at(0).name, "b");
  EXPECT_EQ(in(by_path, "Odd \"Table").columns.at(0).name, "Col Umn");

  const auto qualified = read(CatalogRequest{.relations = {{"app", "users"}, {"nowhere", "users"}, {"app", "hidden"}}});
  EXPECT_EQ(qualified.relations.size(), 2U);
  EXPECT_EQ(in(qualified, "users", "app").columns.at(0).name, "a");
}

TEST_F(CatalogTest, ASchemaThatOurRoleMayNotUseIsStillReadable) {
  run("CREATE SCHEMA secret; CREATE TABLE secret.t (a int CHECK (a > 0)); CREATE TABLE open (a int); CREATE ROLE weak "
      "LOGIN; ALTER TABLE open OWNER TO weak");
  const auto weak = postgres::make_target(TargetName{"main"}, dsn_ + " user=weak", kOwner, log_);
  const auto catalog = expect_ok(weak->catalog({.relations = {{"secret", "t"}, {"", "open"}}}));
  EXPECT_FALSE(in(catalog, "t", "secret").owned);
  EXPECT_TRUE(in(catalog, "open").owned);
  run("DROP OWNED BY weak; DROP ROLE weak");
}

TEST_F(CatalogTest, KindsAndPersistence) {
  run("CREATE TABLE plain (a int); CREATE UNLOGGED TABLE unlogged (a int); CREATE TABLE parts (a int) PARTITION BY "
      "LIST "
      "(a); CREATE VIEW v AS SELECT 1 AS one; CREATE MATERIALIZED VIEW m AS SELECT 1 AS one; CREATE SEQUENCE s; "
      "CREATE EXTENSION IF NOT EXISTS file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; "
      "CREATE FOREIGN TABLE f (a int) SERVER files OPTIONS (filename '/dev/null'); CREATE TYPE pair AS (a int, b int)");
  const auto catalog = about({"plain", "unlogged", "parts", "v", "m", "s", "f", "pair"});
  EXPECT_EQ(in(catalog, "plain").kind, RelationKind::table);
  EXPECT_EQ(in(catalog, "unlogged").kind, RelationKind::table);
  EXPECT_EQ(in(catalog, "parts").kind, RelationKind::partitioned_table);
  EXPECT_EQ(in(catalog, "v").kind, RelationKind::view);
  EXPECT_EQ(in(catalog, "m").kind, RelationKind::materialized_view);
  EXPECT_EQ(in(catalog, "s").kind, RelationKind::sequence);
  EXPECT_EQ(in(catalog, "f").kind, RelationKind::foreign_table);
  EXPECT_EQ(catalog.relation({"", "pair"}), nullptr) << "a type, not a relation";
  EXPECT_FALSE(in(catalog, "unlogged").temporary);

  const OpenTransaction other(dsn_, "CREATE TEMPORARY TABLE plain (b int); COMMIT; BEGIN");
  EXPECT_EQ(in(about({"plain"}), "plain").columns.at(0).name, "a") << "another session's is out of our sight";
  const auto schema = value(
      "SELECT nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
      "WHERE relname = 'plain' AND relpersistence = 't'");
  EXPECT_TRUE(in(read(CatalogRequest{.relations = {{schema, "plain"}}}), "plain", schema).temporary);
  EXPECT_THAT(names(read(CatalogRequest{.everything = true})),
              UnorderedElementsAre("f", "m", "parts", "plain", "s", "unlogged", "v"));
}

TEST_F(CatalogTest, RowSecurityAndReplicaIdentity) {
  run("CREATE TABLE plain (a int); CREATE TABLE guarded (a int NOT NULL UNIQUE); ALTER TABLE guarded ENABLE ROW LEVEL "
      "SECURITY, REPLICA IDENTITY USING INDEX guarded_a_key; CREATE TABLE nameless (a int); ALTER TABLE nameless "
      "REPLICA IDENTITY NOTHING; CREATE TABLE whole (a int); ALTER TABLE whole REPLICA IDENTITY FULL");
  const auto catalog = about({"plain", "guarded", "nameless", "whole"});
  EXPECT_FALSE(in(catalog, "plain").row_security);
  EXPECT_TRUE(in(catalog, "guarded").row_security);
  EXPECT_EQ(in(catalog, "plain").replica_identity, 'd');
  EXPECT_EQ(in(catalog, "guarded").replica_identity, 'i');
  EXPECT_EQ(in(catalog, "nameless").replica_identity, 'n');
  EXPECT_EQ(in(catalog, "whole").replica_identity, 'f');
}

TEST_F(CatalogTest, SizesAndRows) {
  run("CREATE TABLE big (id int PRIMARY KEY, doc text); ALTER TABLE big ALTER doc SET STORAGE EXTERNAL; "
      "INSERT INTO big SELECT n, repeat('x', 5000) FROM generate_series(1, 1000) n; CREATE TABLE empty (a int)");
  run("ALTER TABLE big SET (autovacuum_enabled = off, toast.autovacuum_enabled = off)");
  const auto fresh = about({"big", "empty"});
  EXPECT_EQ(in(fresh, "big").rows, -1);
  EXPECT_EQ(in(fresh, "big").bytes, count("SELECT pg_relation_size('big') + pg_relation_size(reltoastrelid) FROM "
                                          "pg_class WHERE oid = 'big'::regclass"));
  EXPECT_GT(in(fresh, "big").bytes, 5'000'000);
  EXPECT_EQ(in(fresh, "big").index_bytes, count("SELECT pg_relation_size('big_pkey')"));
  EXPECT_EQ(in(fresh, "big").indexes.at(0).bytes, in(fresh, "big").index_bytes);
  EXPECT_EQ(in(fresh, "empty").bytes, 0);
  run("VACUUM ANALYZE big");
  run("ANALYZE empty");
  const auto analysed = about({"big", "empty"});
  EXPECT_EQ(in(analysed, "big").rows, 1000);
  EXPECT_EQ(in(analysed, "big").bytes, in(fresh, "big").bytes);
  EXPECT_EQ(in(analysed, "empty").rows, 0);
}

TEST_F(CatalogTest, Columns) {
  run("CREATE SCHEMA app; CREATE TYPE app.mood AS ENUM ('sad', 'ok'); CREATE DOMAIN short AS varchar(20); "
      "CREATE DOMAIN shorter AS short CHECK (length(VALUE) < 5); CREATE TABLE t (id bigint GENERATED ALWAYS AS "
      "IDENTITY, "
      "s serial, n varchar(20) NOT NULL, gone int, d shorter, m app.mood[], twice bigint GENERATED ALWAYS AS (id * 2) "
      "STORED, now timestamptz DEFAULT now()); ALTER TABLE t DROP COLUMN gone");
  const auto catalog = about({"t"});
  const auto& t = in(catalog, "t");
  std::vector<std::string> columns;
  for (const auto& c : t.columns) {
    columns.push_back(c.name + "|" + c.type + "|" + c.base_type + (c.not_null ? " not_null" : "") +
                      (c.has_default ? " default" : "") + (c.generated ? " generated" : "") +
                      (c.identity ? " identity" : ""));
  }
  EXPECT_EQ(columns, (std::vector<std::string>{
                         "id|bigint|bigint not_null default identity", "s|integer|integer not_null default",
                         "n|character varying(20)|character varying(20) not_null", "d|shorter|character varying(20)",
                         "m|app.mood[]|app.mood[]", "twice|bigint|bigint default generated",
                         "now|timestamp with time zone|timestamp with time zone default"}));
}

TEST_F(CatalogTest, Constraints) {
  run("CREATE TABLE owner (a int, b int, PRIMARY KEY (b, a)); CREATE TABLE t (id int PRIMARY KEY, x int, y int, r "
      "int4range, CONSTRAINT positive CHECK (x > 0), CONSTRAINT u UNIQUE (y, x), CONSTRAINT ex EXCLUDE USING gist (r "
      "WITH &&), CONSTRAINT strict FOREIGN KEY (x, y) REFERENCES owner (b, a), CONSTRAINT cascading FOREIGN KEY (y, x) "
      "REFERENCES owner (b, a) ON UPDATE CASCADE, CONSTRAINT nulling FOREIGN KEY (y, x) REFERENCES owner (b, a) ON "
      "DELETE SET NULL); ALTER TABLE t ADD CONSTRAINT later CHECK (x IS NOT NULL) NOT VALID");
  const auto catalog = about({"t"});
  const auto& t = in(catalog, "t");
  EXPECT_EQ(t.constraints.size(), 8U);
  const auto& positive = *t.constraint("positive");
  EXPECT_EQ(positive.kind, ConstraintKind::check);
  EXPECT_EQ(positive.expression, "(x > 0)");
  EXPECT_TRUE(positive.valid);
  EXPECT_THAT(positive.columns, ElementsAre("x"));
  EXPECT_EQ(t.constraint("later")->expression, "(x IS NOT NULL)");
  EXPECT_FALSE(t.constraint("later")->valid);
  const auto& strict = *t.constraint("strict");
  EXPECT_EQ(strict.kind, ConstraintKind::foreign_key);
  EXPECT_THAT(strict.columns, ElementsAre("x", "y"));
  EXPECT_THAT(strict.references, Named("public", "owner"));
  EXPECT_THAT(strict.referenced_columns, ElementsAre("b", "a"));
  EXPECT_FALSE(strict.changes_on_delete || strict.changes_on_update);
  EXPECT_EQ(strict.index, "owner_pkey");
  EXPECT_TRUE(t.constraint("cascading")->changes_on_update);
  EXPECT_FALSE(t.constraint("cascading")->changes_on_delete);
  EXPECT_TRUE(t.constraint("nulling")->changes_on_delete);
  EXPECT_FALSE(t.constraint("nulling")->changes_on_update);
  EXPECT_EQ(t.constraint("t_pkey")->kind, ConstraintKind::primary_key);
  EXPECT_EQ(t.constraint("t_pkey")->index, "t_pkey");
  EXPECT_EQ(t.constraint("u")->kind, ConstraintKind::unique);
  EXPECT_THAT(t.constraint("u")->columns, ElementsAre("y", "x"));
  EXPECT_EQ(t.constraint("ex")->kind, ConstraintKind::exclusion);
  EXPECT_EQ(t.constraint("positive")->index, "");
}

TEST_F(CatalogTest, Indexes) {
  run("CREATE TABLE t (a int, b int, c text, d text, e int, r int4range, EXCLUDE USING gist (r WITH &&)); "
      "CREATE INDEX plain ON t (b, a); CREATE UNIQUE INDEX uniq ON t (a) INCLUDE (e); "
      "CREATE INDEX expr ON t (a, lower(c || d), b); CREATE INDEX part ON t (a) WHERE a > 0 AND d IS NOT NULL; "
      "CREATE INDEX whole ON t ((t IS NULL)); ALTER TABLE t CLUSTER ON plain; INSERT INTO t (a, b) VALUES (1, 1), (2, "
      "1)");
  EXPECT_THROW(run("CREATE UNIQUE INDEX CONCURRENTLY broken ON t (b)"), pqxx::sql_error);
  const auto catalog = about({"t"});
  const auto& t = in(catalog, "t");
  EXPECT_EQ(t.indexes.size(), 7U);
  EXPECT_THAT(t.index("plain")->columns, ElementsAre("b", "a"));
  EXPECT_THAT(t.index("plain")->uses, IsEmpty());
  EXPECT_TRUE(t.index("plain")->clustered);
  EXPECT_FALSE(t.index("uniq")->clustered);
  EXPECT_TRUE(t.index("uniq")->unique);
  EXPECT_FALSE(t.index("plain")->unique);
  EXPECT_THAT(t.index("uniq")->columns, ElementsAre("a"));
  EXPECT_THAT(t.index("uniq")->uses, ElementsAre("e"));
  EXPECT_THAT(t.index("expr")->columns, ElementsAre("a", "", "b"));
  EXPECT_THAT(t.index("expr")->uses, UnorderedElementsAre("c", "d"));
  EXPECT_FALSE(t.index("expr")->partial);
  EXPECT_TRUE(t.index("part")->partial);
  EXPECT_THAT(t.index("part")->uses, UnorderedElementsAre("a", "d"));
  EXPECT_EQ(t.index("whole")->uses.size(), 6U);
  EXPECT_TRUE(t.index("t_r_excl")->exclusion);
  EXPECT_FALSE(t.index("broken")->valid);
  EXPECT_TRUE(t.index("plain")->valid);
  EXPECT_FALSE(t.index("uniq")->primary);
  // By the index's name alone.
  const auto by_index = about({"expr"});
  EXPECT_THAT(names(by_index), ElementsAre("t"));
  EXPECT_EQ(by_index.index({"", "expr"}).table, &by_index.relations.at(0));
}

TEST_F(CatalogTest, AForeignKeyBringsBothSidesAndAllThatPointsThere) {
  run("CREATE TABLE users (id int PRIMARY KEY, boss int REFERENCES users, country int); CREATE TABLE orders (id int "
      "PRIMARY KEY, buyer int CONSTRAINT buyer_fk REFERENCES users ON DELETE CASCADE); CREATE TABLE countries (code "
      "int "
      "PRIMARY KEY, zone int); ALTER TABLE users ADD FOREIGN KEY (country) REFERENCES countries; CREATE TABLE lines "
      "(o int REFERENCES orders); CREATE TABLE zones (id int PRIMARY KEY); ALTER TABLE countries ADD FOREIGN KEY "
      "(zone) "
      "REFERENCES zones");
  const auto catalog = about({"users"});
  EXPECT_THAT(names(catalog), ElementsAre("countries", "lines", "orders", "users"))
      << "TRUNCATE … CASCADE goes down to lines, nothing goes up to zones";
  EXPECT_THAT(lines(in(catalog, "users")), ElementsAre("foreign key public.buyer_fk on orders (id)"))
      << "the one to itself is its own constraint";
  EXPECT_THAT(lines(in(catalog, "orders")), ElementsAre("foreign key public.lines_o_fkey on lines (id)"));
  const auto& outward = in(catalog, "countries").constraints;
  const auto zone = std::ranges::find(outward, std::string("countries_zone_fkey"), &core::CatalogConstraint::name);
  ASSERT_NE(zone, outward.end());
  EXPECT_THAT(zone->references, Named("public", "zones"));
  EXPECT_THAT(zone->referenced_columns, ElementsAre("id")) << "of a table that is not in the snapshot";
}

TEST_F(CatalogTest, APartitionTreeComesWhole) {
  run("CREATE TABLE events (id int, day date, kind int) PARTITION BY RANGE (day, lower(kind::text)); "
      "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01', MINVALUE) TO ('2024-02-01', MINVALUE) "
      "PARTITION BY LIST (kind); CREATE TABLE events_1_a PARTITION OF events_1 FOR VALUES IN (1, 2); "
      "CREATE TABLE events_rest PARTITION OF events DEFAULT; CREATE TABLE loose (LIKE events)");
  for (const std::string name : {"events", "events_1"}) {
    const auto catalog = about({name});
    EXPECT_THAT(names(catalog),
                AllOf(Contains("events"), Contains("events_1"), Contains("events_1_a"), Not(Contains("loose"))));
    const auto& root = in(catalog, "events");
    EXPECT_EQ(root.partition_key, "RANGE (day, lower((kind)::text))");
    ASSERT_TRUE(root.default_partition.has_value());
    EXPECT_THAT(*root.default_partition, Named("public", "events_rest"));
    EXPECT_THAT(root.children, ElementsAre(Named("public", "events_1"), Named("public", "events_rest")));
    EXPECT_THAT(lines(root), ElementsAre("partition key public.events on events (day, kind)"));
    const auto& middle = in(catalog, "events_1");
    EXPECT_EQ(middle.partition_bound, "FOR VALUES FROM ('2024-01-01', MINVALUE) TO ('2024-02-01', MINVALUE)");
    EXPECT_EQ(middle.partition_key, "LIST (kind)");
    EXPECT_FALSE(middle.default_partition.has_value());
    EXPECT_THAT(middle.parents, ElementsAre(Named("public", "events")));
    EXPECT_EQ(in(catalog, "events_1_a").partition_bound, "FOR VALUES IN (1, 2)");
  }
  const auto from_leaf = about({"events_1_a"});
  EXPECT_THAT(names(from_leaf), ElementsAre("events", "events_1", "events_1_a")) << "not its uncles";
  EXPECT_EQ(in(about({"events_rest"}), "events_rest").partition_bound, "DEFAULT");
}

TEST_F(CatalogTest, AForeignKeyToAPartitionedTableIsOneConstraint) {
  run("CREATE TABLE users (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE users_1 PARTITION OF users FOR "
      "VALUES FROM (0) TO (9); CREATE TABLE orders (id int, u int CONSTRAINT fk REFERENCES users)");
  const auto catalog = about({"orders"});
  EXPECT_EQ(in(catalog, "orders").constraints.size(), 1U);
  EXPECT_THAT(lines(in(catalog, "users")), Contains("foreign key public.fk on orders (id)"));
}

TEST_F(CatalogTest, InheritanceFromTwoParents) {
  run("CREATE TABLE b (x int); CREATE TABLE a (y int); CREATE TABLE child () INHERITS (b, a)");
  const auto catalog = about({"child"});
  EXPECT_THAT(in(catalog, "child").parents, ElementsAre(Named("public", "b"), Named("public", "a")));
  EXPECT_THAT(in(catalog, "a").children, ElementsAre(Named("public", "child")));
  EXPECT_EQ(in(catalog, "child").partition_bound, "");
}

TEST_F(CatalogTest, ViewsWithTheirColumnsAndWhatTheyRead) {
  run("CREATE SCHEMA app; CREATE TABLE t (a int, b int, c int); CREATE TABLE far (z int); "
      "CREATE VIEW v AS SELECT b AS bee FROM t WHERE a > 0; CREATE MATERIALIZED VIEW app.m AS SELECT v.bee, far.z FROM "
      "v, "
      "far; CREATE VIEW counting AS SELECT count(*) FROM t; CREATE VIEW unrelated AS SELECT 1 AS one");
  const auto catalog = about({"t"});
  EXPECT_THAT(names(catalog), UnorderedElementsAre("t", "v", "m", "counting", "far"));
  EXPECT_THAT(lines(in(catalog, "t")), UnorderedElementsAre("view public.v (a, b)", "view public.counting"));
  EXPECT_THAT(lines(in(catalog, "v")), ElementsAre("materialized view app.m (bee)"));
  EXPECT_THAT(in(catalog, "m", "app").reads, ElementsAre(Named("public", "far"), Named("public", "v")));
  EXPECT_THAT(in(catalog, "t").reads, IsEmpty());
  EXPECT_THAT(names(read(CatalogRequest{.relations = {{"app", "m"}}})),
              UnorderedElementsAre("m", "v", "t", "far", "counting"));
}

TEST_F(CatalogTest, RulesTriggersAndPolicies) {
  run("CREATE TABLE t (a int, b int, c int, d int); CREATE TABLE log (x int); CREATE TABLE quiet (q int PRIMARY KEY); "
      "CREATE TABLE child (q int REFERENCES quiet); CREATE RULE r AS ON UPDATE TO log DO ALSO INSERT INTO t (a) SELECT "
      "t.b FROM t; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
      "CREATE TRIGGER of_columns BEFORE UPDATE OF c ON t FOR EACH ROW WHEN (OLD.d IS DISTINCT FROM NEW.d) EXECUTE "
      "FUNCTION f(); CREATE TRIGGER plain BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); "
      "CREATE POLICY mine ON t USING (a = 1) WITH CHECK (b = 2); CREATE POLICY theirs ON log USING (EXISTS (SELECT "
      "FROM t "
      "WHERE t.c = x))");
  const auto catalog = about({"t", "log", "quiet"});
  EXPECT_THAT(lines(in(catalog, "t")),
              UnorderedElementsAre("rule public.r on log (a, b)", "trigger public.plain on t",
                                   "trigger public.of_columns on t (c, d)", "policy public.mine on t (a, b)",
                                   "policy public.theirs on log (c)"));
  EXPECT_TRUE(in(catalog, "t").triggers);
  EXPECT_FALSE(in(catalog, "log").triggers);
  EXPECT_FALSE(in(catalog, "quiet").triggers) << "a foreign key's are not the user's";
  EXPECT_THAT(lines(in(catalog, "log")),
              UnorderedElementsAre("rule public.r on log", "policy public.theirs on log (x)"));
}

TEST_F(CatalogTest, ATriggerOfAPartitionedTableIsOnItsPartitionsToo) {
  run("CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN "
      "RETURN NEW; END'; CREATE TRIGGER each AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION f(); "
      "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)");
  const auto catalog = about({"p1"});
  EXPECT_TRUE(in(catalog, "p1").triggers);
  EXPECT_THAT(lines(in(catalog, "p1")), ElementsAre("trigger public.each on p1"));
}

TEST_F(CatalogTest, SequencesDefaultsGeneratedColumnsAndStatistics) {
  run("CREATE SCHEMA app; CREATE SEQUENCE shared; CREATE SEQUENCE app.owned; CREATE TABLE t (id serial, i int "
      "GENERATED "
      "BY DEFAULT AS IDENTITY, a int, b int, total int GENERATED ALWAYS AS (a + b) STORED, one int GENERATED ALWAYS AS "
      "(1) STORED, n int DEFAULT nextval('shared')); ALTER SEQUENCE app.owned OWNED BY NONE; CREATE STATISTICS app.st "
      "ON "
      "a, n FROM t");
  const auto catalog = about({"t", "shared"});
  EXPECT_THAT(lines(in(catalog, "t")),
              UnorderedElementsAre("sequence public.t_id_seq on t (id)", "sequence public.t_i_seq on t (i)",
                                   "generated column public.total on t (a, b)", "statistics app.st on t (a, n)"));
  EXPECT_THAT(lines(in(catalog, "shared")), ElementsAre("default public.n on t"));
}

TEST_F(CatalogTest, Publications) {
  run("CREATE SCHEMA app; CREATE TABLE t (a int PRIMARY KEY, b int, c int); CREATE TABLE app.s (a int); CREATE "
      "UNLOGGED "
      "TABLE u (a int); CREATE VIEW v AS SELECT a FROM t; CREATE PUBLICATION whole FOR TABLE t");
  const bool lists = admin_.server_version() >= 150000;
  if (lists) {
    run("CREATE PUBLICATION listed FOR TABLE t (a, c) WHERE (a > 0); CREATE PUBLICATION filtered FOR TABLE t WHERE (a "
        "> "
        "1); CREATE PUBLICATION schemas FOR TABLES IN SCHEMA app");
  }
  run("CREATE PUBLICATION everywhere FOR ALL TABLES");
  const auto catalog = read(CatalogRequest{.relations = {{"", "t"}, {"app", "s"}, {"", "u"}, {"", "v"}}});
  auto on_t = lines(in(catalog, "t"));
  std::erase(on_t, "view public.v (a)");
  if (lists) {
    EXPECT_THAT(on_t, UnorderedElementsAre("publication .whole", "publication .listed (a, c)", "publication .filtered",
                                           "publication .everywhere"));
    EXPECT_THAT(lines(in(catalog, "s", "app")),
                UnorderedElementsAre("publication .schemas", "publication .everywhere"));
  } else {
    EXPECT_THAT(on_t, UnorderedElementsAre("publication .whole", "publication .everywhere"));
  }
  EXPECT_THAT(lines(in(catalog, "u")), IsEmpty());
  EXPECT_THAT(lines(in(catalog, "v")), IsEmpty());
}

TEST_F(CatalogTest, FunctionsByWhatTheirBodiesSay) {
  run("CREATE TABLE users (id int, name text, \"Full Name\" text); CREATE TABLE \"Odd-One\" (x int); "
      "CREATE FUNCTION reads() RETURNS bigint LANGUAGE sql AS 'SELECT count(name) FROM USERS WHERE \"Full Name\" IS "
      "NULL'; "
      "CREATE FUNCTION no_columns() RETURNS void LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.users; END'; "
      "CREATE FUNCTION near_miss() RETURNS text LANGUAGE sql AS 'SELECT ''users_old superusers user names'''; "
      "CREATE FUNCTION odd() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM x FROM \"Odd-One\"; END'; "
      "CREATE FUNCTION odder() RETURNS text LANGUAGE sql AS 'SELECT ''Odd-Ones'''; "
      "CREATE PROCEDURE proc() LANGUAGE sql AS 'UPDATE users SET id = 1'; "
      "CREATE FUNCTION takes(u users) RETURNS int LANGUAGE sql AS 'SELECT 1'");
  const bool standard = admin_.server_version() >= 140000;
  if (standard) run("CREATE FUNCTION body() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT name FROM users; END");
  const auto catalog = about({"users", "Odd-One"});
  auto on_users = lines(in(catalog, "users"));
  if (standard) {
    EXPECT_THAT(on_users, Contains("function public.body (name)"));
    std::erase(on_users, "function public.body (name)");
  }
  EXPECT_THAT(on_users,
              UnorderedElementsAre("function public.takes(users)", "function public.reads (name, Full Name) ~",
                                   "function public.no_columns ~", "function public.proc (id) ~"));
  EXPECT_THAT(lines(in(catalog, "Odd-One")), ElementsAre("function public.odd (x) ~"));
}

TEST_F(CatalogTest, ColumnGrantees) {
  run("CREATE ROLE reader; CREATE ROLE picky; CREATE ROLE remover; CREATE TABLE t (a int); GRANT SELECT, UPDATE ON t "
      "TO "
      "reader; GRANT SELECT (a) ON t TO picky; GRANT DELETE, TRUNCATE ON t TO remover; GRANT INSERT ON t TO PUBLIC; "
      "CREATE TABLE bare (a int)");
  const auto catalog = about({"t", "bare"});
  EXPECT_THAT(in(catalog, "t").column_grantees, ElementsAre("PUBLIC", "reader"));
  EXPECT_THAT(in(catalog, "bare").column_grantees, IsEmpty());
  run("DROP OWNED BY reader, picky, remover; DROP ROLE reader, picky, remover");
}

TEST_F(CatalogTest, FunctionsByName) {
  run("CREATE SCHEMA app; CREATE FUNCTION over(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION "
      "over(text) RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION app.elsewhere() RETURNS int LANGUAGE "
      "sql "
      "AS 'SELECT 1'");
  const auto catalog = read(CatalogRequest{
      .functions = {{"", "now"}, {"", "lower"}, {"", "random"}, {"", "over"}, {"", "elsewhere"}, {"", "missing"}}});
  const auto volatility = [&](const std::string& name) {
    const auto* found = catalog.function({"", name});
    return found ? found->volatility : '-';
  };
  EXPECT_EQ(volatility("now"), 's');
  EXPECT_EQ(volatility("lower"), 'i');
  EXPECT_EQ(volatility("random"), 'v');
  EXPECT_EQ(volatility("over"), 's') << "the most volatile of the two";
  EXPECT_EQ(volatility("elsewhere"), '-') << "not in the search_path";
  EXPECT_EQ(catalog.function({"", "now"})->name.schema, "pg_catalog");
  EXPECT_EQ(read(CatalogRequest{.functions = {{"app", "elsewhere"}}}).functions.size(), 1U);
}

TEST_F(CatalogTest, TypesAndTheTablesThatUseThem) {
  run("CREATE TYPE mood AS ENUM ('sad', 'happy'); ALTER TYPE mood ADD VALUE 'ok' BEFORE 'happy'; CREATE DOMAIN plain "
      "AS "
      "varchar(9); CREATE DOMAIN checked AS plain CHECK (VALUE <> ''); CREATE DOMAIN above AS checked; CREATE DOMAIN "
      "needed AS int NOT NULL; CREATE TYPE pair AS (m mood, n int); CREATE TABLE direct (m mood); CREATE TABLE many (m "
      "mood[]); CREATE TABLE nested (p pair); CREATE TABLE other (p plain); CREATE VIEW v AS SELECT m FROM direct");
  const auto catalog = read(CatalogRequest{
      .types = {{"", "mood"}, {"public", "above"}, {"", "needed"}, {"", "pair"}, {"", "text"}, {"", "missing"}}});
  EXPECT_THAT(names(catalog), UnorderedElementsAre("direct", "many", "nested", "v"));
  const auto& mood = *catalog.type({"", "mood"});
  EXPECT_EQ(mood.kind, core::CatalogType::Kind::enumeration);
  EXPECT_THAT(mood.labels, ElementsAre("sad", "ok", "happy"));
  EXPECT_THAT(mood.used_by, ElementsAre(Named("public", "direct"), Named("public", "many"), Named("public", "nested")));
  EXPECT_EQ(catalog.type({"", "above"})->kind, core::CatalogType::Kind::domain);
  EXPECT_EQ(catalog.type({"", "above"})->base, "checked");
  EXPECT_TRUE(catalog.type({"", "above"})->constrained);
  EXPECT_TRUE(catalog.type({"", "needed"})->constrained);
  EXPECT_EQ(catalog.type({"", "pair"})->kind, core::CatalogType::Kind::composite);
  EXPECT_THAT(catalog.type({"", "text"})->used_by, IsEmpty());
  EXPECT_EQ(catalog.type({"", "text"})->kind, core::CatalogType::Kind::other);
  EXPECT_EQ(catalog.type({"", "missing"}), nullptr);

  const auto by_column = about({"other", "many"});
  EXPECT_EQ(by_column.type({"", "plain"})->base, "character varying(9)");
  EXPECT_FALSE(by_column.type({"", "plain"})->constrained);
  EXPECT_THAT(by_column.type({"", "mood"})->labels, ElementsAre("sad", "ok", "happy")) << "the elements' type";
  EXPECT_EQ(by_column.types.size(), 2U);
}

TEST_F(CatalogTest, EverythingLeavesOutWhatIsPostgresAndOurs) {
  run("CREATE SCHEMA app; CREATE TABLE app.a (x serial); CREATE VIEW b AS SELECT 1 AS one");
  EXPECT_THAT(names(read(CatalogRequest{.everything = true})), UnorderedElementsAre("a", "a_x_seq", "b"));
}

// Within about a second, with a result or an error, and never stuck in the queue for the lock.
TEST_F(CatalogTest, ALockedTableHoldsNobodyUp) {
  run("CREATE TABLE simple (id int PRIMARY KEY, v text); CREATE TABLE checked (a int CHECK (a > 0))");
  const OpenTransaction holder(dsn_, "LOCK simple IN ACCESS EXCLUSIVE MODE");
  const auto begun = std::chrono::steady_clock::now();
  const auto simple = about({"simple"});
  EXPECT_EQ(in(simple, "simple").columns.size(), 2U) << "nothing to print: read beside the lock";
  OpenTransaction second(dsn_, "LOCK checked IN ACCESS EXCLUSIVE MODE");
  const auto error = expect_error(target_->catalog({.relations = {{"", "checked"}}}), ErrorCode::lock_timeout);
  EXPECT_THAT(error.failure.message, HasSubstr("checked by session " + std::to_string(second.pid())));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds{3});
  second.commit();
  EXPECT_EQ(in(about({"checked"}), "checked").constraints.size(), 1U);
}

TEST_F(CatalogTest, ReadingLocksAndChangesNothing) {
  run("CREATE TABLE t (a int CHECK (a > 0)); CREATE INDEX i ON t (a) WHERE a > 1");
  EXPECT_EQ(about({"t"}).relations.size(), 1U);
  EXPECT_EQ(count("SELECT count(*) FROM pg_locks l JOIN pg_stat_activity s USING (pid) WHERE s.application_name = "
                  "'diastole: target main'"),
            0);
}

TEST_F(CatalogTest, AServerThatHasFrozenIsGivenUp) {
  expect_ok(target_->catalog({}));
  const auto session = static_cast<pid_t>(
      count("SELECT pid FROM pg_stat_activity WHERE application_name = 'diastole: target main' AND state = 'idle'"));
  ASSERT_EQ(::kill(session, SIGSTOP), 0);
  const auto begun = std::chrono::steady_clock::now();
  const auto error = expect_error(target_->catalog({}), ErrorCode::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds{8});
  EXPECT_EQ(::kill(session, SIGCONT), 0);
  EXPECT_EQ(error.failure.message, "target main did not answer within 5s");
  expect_ok(target_->catalog({}));
}

TEST_F(CatalogTest, ATargetThatIsAwayIsSaidToBe) {
  const auto away = postgres::make_target(TargetName{"main"}, "host=/nowhere", kOwner, log_);
  expect_error(away->catalog({.everything = true}), ErrorCode::unavailable);
}

}  // namespace
}  // namespace diastole

int main(int argc, char** argv) {
  return diastole::test::run_with_postgres(argc, argv);
}
