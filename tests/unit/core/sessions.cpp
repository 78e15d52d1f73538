#include "diastole/core/sessions.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/sample_plan.hpp"

namespace diastole::core {
namespace {

using Tells = RoleMapping::Tells;
using testing::ElementsAre;
using testing::IsEmpty;

Session session(std::string role, std::string application_name) {
  Session out;
  out.server = "primary";
  out.pid = 7;
  out.role = std::move(role);
  out.application_name = std::move(application_name);
  return out;
}

GateSpec spec() {
  GateSpec out;
  out.fleet = {test::requirement("api", ">=2.0.0"), test::requirement("worker", ">=3.0.0")};
  out.fleet[1].roles = {{"worker_v2", Tells::version, "2.9.0"},
                        {"worker_v3", Tells::version, "3.1.0"},
                        {"worker", Tells::application_name, ""},
                        {"batch", Tells::nothing, ""}};
  out.others = {test::requirement("mail", ">=1.0.0")};
  out.others[0].roles = {{"mail", Tells::nothing, ""}};
  return out;
}

SessionClass class_of(const std::string& role, const std::string& application_name,
                      const std::vector<Tool>& tools = {}) {
  const auto asked = spec();
  return classify(session(role, application_name), asked, tools).is;
}

TEST(SessionNameTest, IsServiceVersionAndPerhapsInstance) {
  const auto whole = parse_session_name("api@2.3.0/api-7f9");
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->service, "api");
  EXPECT_EQ(whole->version, "2.3.0");
  EXPECT_EQ(whole->instance, "api-7f9");
  EXPECT_EQ(parse_session_name("api@4f1c2ab")->instance, "");
  for (const auto* other : {"", "psql", "@2.3.0", "api@", "api@/x"}) EXPECT_FALSE(parse_session_name(other)) << other;
}

TEST(ClassifyTest, ByApplicationName) {
  EXPECT_EQ(class_of("app", "api@2.0.0"), SessionClass::current);
  EXPECT_EQ(class_of("app", "api@1.9.9/api-1"), SessionClass::old);
  EXPECT_EQ(class_of("app", "api@latest"), SessionClass::unversioned);
  EXPECT_EQ(class_of("app", "billing@2.0.0"), SessionClass::undeclared);
  EXPECT_EQ(class_of("joe", "psql"), SessionClass::undeclared);
  EXPECT_EQ(class_of("app", ""), SessionClass::undeclared);
}

TEST(ClassifyTest, ByRoleWhateverTheApplicationNameClaims) {
  EXPECT_EQ(class_of("worker_v2", "worker@3.1.0"), SessionClass::old);
  EXPECT_EQ(class_of("worker_v3", ""), SessionClass::current);
  EXPECT_EQ(class_of("worker", "worker@3.0.0"), SessionClass::current);
  EXPECT_EQ(class_of("worker", "worker@2.0.0"), SessionClass::old);
  // Of the worker by its role; what it says of another service tells nothing.
  EXPECT_EQ(class_of("worker", "api@2.0.0"), SessionClass::unversioned);
  EXPECT_EQ(class_of("worker", "psql"), SessionClass::unversioned);
  EXPECT_EQ(class_of("batch", "psql"), SessionClass::untold);
}

TEST(ClassifyTest, ServicesOfWhichTheGateAsksNothingAreInNobodysWay) {
  EXPECT_EQ(class_of("mail", "psql"), SessionClass::untold);
  EXPECT_EQ(class_of("app", "mail@0.1.0"), SessionClass::untold);
}

TEST(ClassifyTest, ToolsAreNoApplications) {
  const std::vector<Tool> tools{{Tool::By::role, "exporter"}, {Tool::By::application_name, "pg_dump"}};
  EXPECT_EQ(class_of("exporter", "", tools), SessionClass::tool);
  EXPECT_EQ(class_of("joe", "pg_dump", tools), SessionClass::tool);
  EXPECT_EQ(class_of("joe", "exporter", tools), SessionClass::undeclared);
  EXPECT_EQ(class_of("exporter", "api@1.0.0", tools), SessionClass::old);
  // What calls itself a tool under an old version's role is that version.
  EXPECT_EQ(class_of("worker_v2", "pg_dump", tools), SessionClass::old);
}

TEST(RolesTest, OnlyThoseOfVersionsBelowLoseTheirLogin) {
  const auto asked = spec();
  EXPECT_THAT(roles_below(asked.fleet), ElementsAre("worker_v2"));
  EXPECT_THAT(roles_of(asked.fleet), ElementsAre("worker_v2", "worker_v3", "worker", "batch"));
}

}  // namespace
}  // namespace diastole::core
