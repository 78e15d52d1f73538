#include "safe_form.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "diastole/sql/analysis.hpp"
#include "pasted_form.hpp"
#include "support/catalog.hpp"

namespace diastole::sql {
namespace {

using core::Phase;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

core::Finding found(std::string_view rule, std::string_view sql, const core::CatalogSnapshot* catalog = nullptr,
                    Phase phase = Phase::expand) {
  const auto findings = lint(sql, phase, catalog);
  for (const core::Finding& finding : *findings) {
    if (finding.rule == rule) return finding;
  }
  ADD_FAILURE() << sql << " does not break " << rule;
  return {};
}

// "phase form: text" for each step; the form is left out where it is sql, the phase where it is the statement's own.
std::vector<std::string> form(std::string_view rule, std::string_view sql,
                              const core::CatalogSnapshot* catalog = nullptr, Phase phase = Phase::expand) {
  std::vector<std::string> steps;
  for (const core::SafeStep& step : found(rule, sql, catalog, phase).safe_form) {
    std::string text = step.phase ? std::string(to_string(*step.phase)) + ": " : "";
    if (step.form == core::SafeStep::Form::set_not_null) text += "set_not_null ";
    steps.push_back(text + step.text);
  }
  return steps;
}

std::vector<std::string> refused(std::string_view rule, std::string_view sql, const core::CatalogSnapshot* catalog) {
  return test::paste(found(rule, sql, catalog), Phase::expand, catalog).refused;
}

TEST(SafeFormTest, AForeignKeyOfAPartitionedTableIsAddedToEachPartition) {
  const auto catalog = test::shop_catalog();
  const std::string_view sql = "ALTER TABLE events ADD FOREIGN KEY (id) REFERENCES users ON DELETE SET NULL";
  EXPECT_THAT(form("adding-foreign-key-constraint", sql, &catalog),
              ElementsAre("ALTER TABLE events_2024 ADD CONSTRAINT events_id_fkey FOREIGN KEY (id) REFERENCES users ON "
                          "DELETE SET NULL NOT VALID",
                          "ALTER TABLE events_2024 VALIDATE CONSTRAINT events_id_fkey",
                          "ALTER TABLE events_rest ADD CONSTRAINT events_id_fkey FOREIGN KEY (id) REFERENCES users ON "
                          "DELETE SET NULL NOT VALID",
                          "ALTER TABLE events_rest VALIDATE CONSTRAINT events_id_fkey",
                          "ALTER TABLE events ADD CONSTRAINT events_id_fkey FOREIGN KEY (id) REFERENCES users ON "
                          "DELETE SET NULL"));
  EXPECT_THAT(refused("adding-foreign-key-constraint", sql, &catalog), IsEmpty());
}

TEST(SafeFormTest, ATimeWithATimeZoneKeepsItsPrecision) {
  EXPECT_THAT(form("prefer-timestamptz", "ALTER TABLE users ADD COLUMN at timestamp(3) DEFAULT now()"),
              ElementsAre("ALTER TABLE users ADD COLUMN at timestamptz(3) DEFAULT now()"));
  EXPECT_THAT(form("prefer-timestamptz", "ALTER TABLE users ADD COLUMN at timestamp without time zone"),
              ElementsAre("ALTER TABLE users ADD COLUMN at timestamptz"));
}

// One that is another, or not valid, or not on every partition, spares nothing.
TEST(SafeFormTest, OnlyTheSameForeignKeyIsAdopted) {
  const auto catalog = test::shop_catalog();
  const auto refused_after = [&](std::string_view before) {
    const auto findings =
        lint(fmt::format("{}; ALTER TABLE events ADD CONSTRAINT c FOREIGN KEY (id) REFERENCES users", before),
             Phase::expand, &catalog);
    return std::ranges::any_of(*findings, [](const core::Finding& finding) {
      return finding.rule == "adding-foreign-key-constraint" && finding.subject.table == "events";
    });
  };
  const std::string add = "ALTER TABLE {} ADD CONSTRAINT c FOREIGN KEY (id) REFERENCES {} NOT VALID";
  const auto on = [&](std::string_view table, std::string_view other) {
    return fmt::format(fmt::runtime(add), table, other);
  };
  const std::string both = on("events_2024", "users") + ";" + on("events_rest", "users");
  const std::string valid =
      "; ALTER TABLE events_2024 VALIDATE CONSTRAINT c; ALTER TABLE events_rest VALIDATE "
      "CONSTRAINT c";
  EXPECT_FALSE(refused_after(both + valid));
  EXPECT_TRUE(refused_after(both));
  EXPECT_TRUE(refused_after(on("events_2024", "users") + "; ALTER TABLE events_2024 VALIDATE CONSTRAINT c"));
  EXPECT_TRUE(refused_after(on("events_2024", "items") + ";" + on("events_rest", "items") + valid));
  EXPECT_TRUE(refused_after(both + valid + "; ALTER TABLE events_rest DROP CONSTRAINT c"));
}

TEST(SafeFormTest, AKeyOfAPartitionedTableIsAttached) {
  const auto catalog = test::shop_catalog();
  EXPECT_THAT(form("disallowed-unique-constraint", "ALTER TABLE events ADD CONSTRAINT u UNIQUE (id, at)", &catalog),
              ElementsAre("CREATE UNIQUE INDEX CONCURRENTLY events_2024_u_idx ON events_2024 (id, at)",
                          "CREATE UNIQUE INDEX CONCURRENTLY events_rest_u_idx ON events_rest (id, at)",
                          "ALTER TABLE events_2024 ADD CONSTRAINT events_2024_u_idx UNIQUE USING INDEX "
                          "events_2024_u_idx",
                          "ALTER TABLE events_rest ADD CONSTRAINT events_rest_u_idx UNIQUE USING INDEX "
                          "events_rest_u_idx",
                          "ALTER TABLE ONLY events ADD CONSTRAINT u UNIQUE (id, at)",
                          "ALTER INDEX u ATTACH PARTITION events_2024_u_idx",
                          "ALTER INDEX u ATTACH PARTITION events_rest_u_idx"));
  EXPECT_THAT(refused("disallowed-unique-constraint", "ALTER TABLE events ADD UNIQUE (id, at)", &catalog), IsEmpty());
  EXPECT_THAT(refused("adding-serial-primary-key-field", "ALTER TABLE events ADD PRIMARY KEY (id, at)", &catalog),
              IsEmpty());
}

TEST(SafeFormTest, AnIndexOfAPartitionedTableKeepsItsDefinition) {
  const auto catalog = test::shop_catalog();
  EXPECT_THAT(
      form("require-concurrent-index-creation",
           "CREATE UNIQUE INDEX i ON public.events USING btree (lower(x), id DESC) INCLUDE (y) WHERE id > 0", &catalog),
      testing::Contains("CREATE UNIQUE INDEX CONCURRENTLY events_2024_i_idx ON events_2024 USING btree "
                        "(lower(x), id DESC) INCLUDE (y) WHERE id > 0"));
  EXPECT_THAT(
      form("missing-foreign-key-index", "ALTER TABLE events ADD COLUMN user_id bigint REFERENCES users", &catalog),
      ElementsAre("CREATE INDEX events_user_id_idx ON ONLY events (user_id)",
                  "CREATE INDEX CONCURRENTLY events_2024_events_user_id_idx_idx ON events_2024 (user_id)",
                  "ALTER INDEX events_user_id_idx ATTACH PARTITION events_2024_events_user_id_idx_idx",
                  "CREATE INDEX CONCURRENTLY events_rest_events_user_id_idx_idx ON events_rest (user_id)",
                  "ALTER INDEX events_user_id_idx ATTACH PARTITION events_rest_events_user_id_idx_idx"));
}

TEST(SafeFormTest, KeepsTheSchema) {
  EXPECT_THAT(form("renaming-table", "ALTER TABLE app.t RENAME TO \"U\""),
              ElementsAre("expand: CREATE VIEW app.\"U\" AS SELECT * FROM app.t",
                          "contract: DROP VIEW app.\"U\"; ALTER TABLE app.t RENAME TO \"U\""));
  EXPECT_THAT(form("adding-serial-field", "ALTER TABLE app.t ADD \"Nr\" serial"),
              ElementsAre("expand: CREATE SEQUENCE app.\"t_Nr_seq\" AS integer",
                          "expand: ALTER TABLE app.t ADD COLUMN \"Nr\" integer",
                          "expand: ALTER TABLE app.t ALTER COLUMN \"Nr\" SET DEFAULT nextval('app.\"t_Nr_seq\"')",
                          "expand: ALTER SEQUENCE app.\"t_Nr_seq\" OWNED BY app.t.\"Nr\"",
                          "backfill: table: app.t\nset: { Nr: \"nextval('app.\\\"t_Nr_seq\\\"')\" }\n"
                          "where: \"\\\"Nr\\\" IS NULL\"",
                          "contract: set_not_null app.t.\"Nr\""));
}

TEST(SafeFormTest, AnIdentityColumnBecomesOne) {
  EXPECT_THAT(
      form("adding-serial-field", "ALTER TABLE t ADD a int GENERATED ALWAYS AS IDENTITY (START WITH 7)"),
      ElementsAre("expand: CREATE SEQUENCE t_a_fill AS int START WITH 7", "expand: ALTER TABLE t ADD COLUMN a int",
                  "expand: ALTER TABLE t ALTER COLUMN a SET DEFAULT nextval('t_a_fill')",
                  "backfill: table: t\nset: { a: \"nextval('t_a_fill')\" }\nwhere: a IS NULL",
                  "contract: set_not_null t.a",
                  "contract: ALTER TABLE t ALTER COLUMN a DROP DEFAULT, ALTER COLUMN a ADD GENERATED ALWAYS AS "
                  "IDENTITY (START WITH 7); SELECT setval(pg_get_serial_sequence('t', 'a'), "
                  "nextval('t_a_fill')); DROP SEQUENCE t_a_fill"));
}

TEST(SafeFormTest, AColumnKeepsWhatItsDefinitionSays) {
  EXPECT_THAT(form("disallowed-unique-constraint",
                   "ALTER TABLE t ADD a text COLLATE \"C\" DEFAULT ('x' || 'y')::text CONSTRAINT u UNIQUE NULLS NOT "
                   "DISTINCT WITH (fillfactor = 70) DEFERRABLE INITIALLY DEFERRED, ADD b int"),
              ElementsAre("ALTER TABLE t ADD COLUMN a text COLLATE \"C\" DEFAULT ('x' || 'y')::text",
                          "CREATE UNIQUE INDEX CONCURRENTLY u ON t (a) NULLS NOT DISTINCT WITH (fillfactor = 70)",
                          "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX u DEFERRABLE INITIALLY DEFERRED"));
  EXPECT_THAT(
      form("constraint-missing-not-valid", "ALTER TABLE t ADD a int CHECK (a > 0 /* sic */)"),
      ElementsAre("ALTER TABLE t ADD COLUMN a int", "ALTER TABLE t ADD CONSTRAINT t_a_check CHECK (a > 0 ) NOT VALID",
                  "ALTER TABLE t VALIDATE CONSTRAINT t_a_check"));
  EXPECT_THAT(form("adding-foreign-key-constraint",
                   "ALTER TABLE t ADD a int DEFAULT 1 REFERENCES o (id) ON DELETE CASCADE DEFERRABLE NOT NULL"),
              ElementsAre("ALTER TABLE t ADD COLUMN a int DEFAULT 1 NOT NULL",
                          "ALTER TABLE t ADD CONSTRAINT t_a_fkey FOREIGN KEY (a) REFERENCES o (id) ON DELETE CASCADE "
                          "DEFERRABLE NOT VALID",
                          "ALTER TABLE t VALIDATE CONSTRAINT t_a_fkey"));
  EXPECT_THAT(form("adding-serial-primary-key-field", "ALTER TABLE t ADD a uuid DEFAULT gen_random_uuid() PRIMARY KEY"),
              ElementsAre("expand: ALTER TABLE t ADD COLUMN a uuid",
                          "expand: ALTER TABLE t ALTER COLUMN a SET DEFAULT gen_random_uuid()",
                          "backfill: table: t\nset: { a: \"gen_random_uuid()\" }\nwhere: a IS NULL",
                          "contract: set_not_null t.a", "contract: CREATE UNIQUE INDEX CONCURRENTLY t_pkey ON t (a)",
                          "contract: ALTER TABLE t ADD CONSTRAINT t_pkey PRIMARY KEY USING INDEX t_pkey"));
}

TEST(SafeFormTest, AKeyKeepsWhatItsDefinitionSays) {
  EXPECT_THAT(form("disallowed-unique-constraint",
                   "ALTER TABLE t ADD UNIQUE NULLS NOT DISTINCT (a, \"B\") INCLUDE (c) WITH (fillfactor = 70) USING "
                   "INDEX TABLESPACE fast DEFERRABLE, ADD b int"),
              ElementsAre("CREATE UNIQUE INDEX CONCURRENTLY \"t_a_B_key\" ON t (a, \"B\") INCLUDE (c) NULLS NOT "
                          "DISTINCT WITH (fillfactor = 70) TABLESPACE fast",
                          "ALTER TABLE t ADD CONSTRAINT \"t_a_B_key\" UNIQUE USING INDEX \"t_a_B_key\" DEFERRABLE"));
  const auto catalog = test::shop_catalog();
  EXPECT_THAT(form("adding-serial-primary-key-field", "ALTER TABLE users ADD PRIMARY KEY (email, age)", &catalog),
              ElementsAre("CREATE UNIQUE INDEX CONCURRENTLY users_pkey ON users (email, age)",
                          "contract: set_not_null users.age",
                          "contract: ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY USING INDEX users_pkey"));
  EXPECT_THAT(refused("adding-serial-primary-key-field", "ALTER TABLE users ADD PRIMARY KEY (email, age)", &catalog),
              IsEmpty());
}

TEST(SafeFormTest, AVolatileDefaultIsTakenWhole) {
  EXPECT_THAT(form("adding-field-with-default", "ALTER TABLE t ADD a int DEFAULT (f('\"\\,'))::int NOT NULL"),
              ElementsAre("expand: ALTER TABLE t ADD COLUMN a int",
                          "expand: ALTER TABLE t ALTER COLUMN a SET DEFAULT (f('\"\\,'))::int",
                          "backfill: table: t\nset: { a: \"(f('\\\"\\\\,'))::int\" }\nwhere: a IS NULL",
                          "contract: set_not_null t.a"));
}

TEST(SafeFormTest, AColumnIsSetByItsExactName) {
  EXPECT_THAT(form("renaming-column", "ALTER TABLE \"T\" RENAME a TO \"yes\""),
              testing::Contains("backfill: table: \"\\\"T\\\"\"\nset: { \"yes\": a }\nwhere: yes IS DISTINCT FROM a"));
  EXPECT_THAT(form("unbatched-dml", "UPDATE t SET \"A\" = b WHERE \"A\" IS DISTINCT FROM b -- why"),
              ElementsAre("backfill: table: t\nset: { A: b }\nwhere: \"\\\"A\\\" IS DISTINCT FROM b\""));
}

TEST(SafeFormTest, ViewsAndTypesAreNoTables) {
  const auto catalog = test::shop_catalog();
  EXPECT_THAT(
      form("renaming-column", "ALTER TABLE adults RENAME age TO years", &catalog),
      ElementsAre("expand: CREATE OR REPLACE VIEW adults AS <its query, with age AS years behind its columns>"));
  EXPECT_THAT(form("renaming-column", "ALTER MATERIALIZED VIEW v RENAME COLUMN a TO b"),
              ElementsAre("contract: ALTER MATERIALIZED VIEW v RENAME COLUMN a TO b"));
  EXPECT_THAT(form("ban-drop-column", "ALTER TYPE c DROP ATTRIBUTE a"),
              ElementsAre("contract: ALTER TYPE c DROP ATTRIBUTE a"));
  EXPECT_THAT(form("changing-column-type", "ALTER TYPE c ALTER ATTRIBUTE a TYPE text"),
              ElementsAre("expand: ALTER TYPE c ADD ATTRIBUTE <new attribute> text",
                          "contract: ALTER TYPE c DROP ATTRIBUTE a"));
}

TEST(SafeFormTest, AConstraintsIndexGoesWithIt) {
  const auto catalog = test::shop_catalog();
  EXPECT_THAT(form("drop-blocked-by-dependents", "DROP INDEX items_pkey", &catalog),
              ElementsAre("contract: ALTER TABLE items DROP CONSTRAINT items_pkey"));
  EXPECT_THAT(form("require-concurrent-index-deletion", "DROP INDEX IF EXISTS i, app.j CASCADE"),
              ElementsAre("DROP INDEX CONCURRENTLY IF EXISTS i", "DROP INDEX CONCURRENTLY IF EXISTS app.j"));
}

TEST(SafeFormTest, AnIndexIsNotATable) {
  const auto catalog = test::shop_catalog();
  const auto rules = [&](std::string_view sql) {
    std::vector<std::string> names;
    for (const core::Finding& finding : *lint(sql, Phase::expand, &catalog)) names.push_back(finding.rule);
    return names;
  };
  EXPECT_THAT(rules("ALTER TABLE users_age RENAME TO i"), IsEmpty());
  EXPECT_THAT(rules("ALTER TABLE users RENAME TO i"), ElementsAre("renaming-table"));
  EXPECT_THAT(rules("ALTER TABLE users_age SET TABLESPACE fast"), IsEmpty());
  EXPECT_THAT(rules("ALTER TABLE users SET TABLESPACE fast"), ElementsAre("table-rewrite"));
}

TEST(SafeFormTest, WithNoDataEmptiesAView) {
  const auto catalog = test::shop_catalog();
  EXPECT_THAT(form("ban-drop-object", "REFRESH MATERIALIZED VIEW totals WITH NO DATA", &catalog),
              ElementsAre("contract: REFRESH MATERIALIZED VIEW totals WITH NO DATA"));
  EXPECT_THAT(*lint("REFRESH MATERIALIZED VIEW totals WITH NO DATA", Phase::contract, &catalog), IsEmpty());
}

TEST(SafeFormTest, ADomainIsCheckedInTwoSteps) {
  EXPECT_THAT(form("ban-alter-domain-with-add-constraint", "ALTER DOMAIN app.d SET NOT NULL"),
              ElementsAre("contract: ALTER DOMAIN app.d ADD CONSTRAINT d_not_null CHECK (VALUE IS NOT NULL) NOT VALID",
                          "contract: ALTER DOMAIN app.d VALIDATE CONSTRAINT d_not_null"));
  EXPECT_THAT(form("check-breaks-old-writers", "ALTER DOMAIN app.d ADD CHECK (value > 0)"),
              ElementsAre("contract: ALTER DOMAIN app.d ADD CONSTRAINT d_check CHECK (value > 0) NOT VALID",
                          "contract: ALTER DOMAIN app.d VALIDATE CONSTRAINT d_check"));
  // It reads under the same lock as ADD would.
  const auto validate = found("ban-alter-domain-with-add-constraint", "ALTER DOMAIN d VALIDATE CONSTRAINT c");
  EXPECT_EQ(validate.severity, core::Severity::warning);
  EXPECT_THAT(validate.safe_form, IsEmpty());
}

TEST(SafeFormTest, VacuumWithoutATable) {
  EXPECT_EQ(found("ban-vacuum-full", "VACUUM FULL").message, "VACUUM FULL rewrites every table under ACCESS EXCLUSIVE");
  EXPECT_THAT(form("ban-vacuum-full", "VACUUM (FULL)"), ElementsAre("VACUUM"));
  EXPECT_EQ(found("ban-vacuum-full", "CLUSTER").message,
            "CLUSTER rewrites every table that was clustered before under ACCESS EXCLUSIVE");
  EXPECT_THAT(form("ban-vacuum-full", "VACUUM FULL t, u"), ElementsAre("VACUUM t, u"));
}

TEST(SafeFormTest, TruncateNamesWhatItEmpties) {
  const auto catalog = test::shop_catalog();
  EXPECT_THAT(form("ban-truncate-cascade", "TRUNCATE users RESTART IDENTITY CASCADE", &catalog),
              ElementsAre("contract: TRUNCATE users, orders RESTART IDENTITY"));
  EXPECT_THAT(form("ban-truncate-cascade", "TRUNCATE users CASCADE"),
              ElementsAre("contract: TRUNCATE users, <each table that references them>"));
}

TEST(SafeFormTest, WhatHangsOnItIsDroppedFirst) {
  const auto catalog = test::shop_catalog();
  EXPECT_THAT(form("ban-drop-table", "DROP TABLE users CASCADE", &catalog),
              ElementsAre("contract: DROP VIEW adults", "contract: ALTER TABLE orders DROP CONSTRAINT orders_user_fkey",
                          "contract: DROP TABLE users"));
  const auto blocked = [&](std::string_view sql) {
    const auto findings = lint(sql, Phase::contract, &catalog);
    return std::ranges::any_of(*findings, [](const auto& one) { return one.rule == "drop-blocked-by-dependents"; });
  };
  EXPECT_FALSE(blocked("DROP VIEW public.adults; ALTER TABLE users DROP COLUMN age"));
  EXPECT_TRUE(blocked("DROP VIEW others; ALTER TABLE users DROP COLUMN age"));
  EXPECT_TRUE(blocked("DROP VIEW adults; DROP TABLE users"));
}

TEST(SafeFormTest, TheReasonIsTheOneThatHolds) {
  const auto catalog = test::shop_catalog();
  const auto why = [&](std::string_view rule, std::string_view sql, Phase phase) {
    return found(rule, sql, &catalog, phase).message;
  };
  EXPECT_EQ(why("changing-column-type", "ALTER TABLE lookup ALTER label TYPE varchar(10)", Phase::expand),
            "code that runs may not expect another type of lookup.label");
  EXPECT_EQ(why("changing-column-type", "ALTER TABLE users ALTER age TYPE bigint", Phase::contract),
            "a new type for users.age rewrites the table, or its indexes, under ACCESS EXCLUSIVE");
  EXPECT_EQ(why("changing-column-type", "ALTER TABLE users ALTER age TYPE bigint", Phase::expand),
            "a new type for users.age rewrites the table, or its indexes, under ACCESS EXCLUSIVE; code that runs may "
            "not expect another "
            "type of users.age");
  EXPECT_EQ(why("adding-not-nullable-field", "ALTER TABLE lookup ALTER label SET NOT NULL", Phase::expand),
            "old writers may leave lookup.label out");
  EXPECT_THAT(why("adding-not-nullable-field", "ALTER TABLE users ALTER age SET NOT NULL", Phase::contract),
              Not(HasSubstr("old writers")));
}

TEST(SafeFormTest, NamesFitAsPostgresMakesThem) {
  EXPECT_EQ(made_name("t", {"a", "b"}, "fkey"), "t_a_b_fkey");
  EXPECT_EQ(made_name("t", {}, "pkey"), "t_pkey");
  const std::string name = made_name(std::string(60, 't'), {std::string(20, 'c')}, "fkey");
  EXPECT_EQ(name, std::string(37, 't') + "_" + std::string(20, 'c') + "_fkey");
  EXPECT_EQ(name.size(), 63U);
  EXPECT_EQ(made_name(std::string(57, 't') + "é", {}, "pkey"), std::string(57, 't') + "_pkey");
}

TEST(SafeFormTest, YamlReadsTheTextAsItIs) {
  EXPECT_EQ(yaml_scalar("a IS NULL"), "a IS NULL");
  EXPECT_EQ(yaml_scalar("Null"), "\"Null\"");
  EXPECT_EQ(yaml_scalar("a # b"), "\"a # b\"");
  EXPECT_EQ(yaml_scalar("'a\n\\'"), "\"'a\\x0a\\\\'\"");
  EXPECT_EQ(yaml_scalar("7"), "\"7\"");
  EXPECT_EQ(yaml_scalar(""), "\"\"");
}

}  // namespace
}  // namespace diastole::sql
