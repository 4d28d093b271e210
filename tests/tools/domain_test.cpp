#include "cubinet/precompile/domain.hpp"

#include <catch2/catch_test_macros.hpp>
#include <set>

#include "jit/error.hpp"
#include "signature/manifest.hpp"
#include "support/tiny_template.hpp"

using jit::Domain;
using jit::Restriction;
using jit::Signature;

namespace {

class DomainFixture {
 public:
  std::vector<std::string> all(const Restriction& restriction) const {
    std::vector<std::string> texts;
    Domain(tmpl_, restriction).for_each([&](Signature&& signature) {
      texts.push_back(signature.text());
      return true;
    });
    return texts;
  }
  Domain domain(const Restriction& restriction) const { return {tmpl_, restriction}; }

 private:
  jit::TableArena arena_;
  jit::table::Template tmpl_ =
      jit::parse_manifest(jit::testing::kTinyManifest, "manifest.json", arena_);
};

const Restriction kOne{
    {"SIZE", "8"}, {"ELEMENT_TYPE_OF_INPUT", "u8"}, {"FLAG", "false"}, {"ORDER", "row_major"}};

}  // namespace

TEST_CASE_METHOD(DomainFixture, "a domain is every combination of shapes over every bucket step") {
  const Domain whole = domain({});
  CHECK(whole.combinations() == 512 * 3 * 2 * 2);
  CHECK(whole.bucket_steps() == 3);
  // Of three steps two choose alike below 1024, and all three differ from there on.
  CHECK(whole.count() == (127 * 2 + 385 * 3) * 3 * 2 * 2);
  const std::vector<std::string> texts = all({{"SIZE", "8"}, {"SIZE", "2048"}});
  CHECK(texts.size() == (2 + 3) * 3 * 2 * 2);
  CHECK(std::set<std::string>(texts.begin(), texts.end()).size() == texts.size());
}

TEST_CASE_METHOD(DomainFixture,
                 "tunables are what the selection table chooses, unless they are pinned") {
  CHECK(all(kOne) ==
        std::vector<std::string>{"tiny[SIZE=8,ELEMENT_TYPE_OF_INPUT=u8,FLAG=false,ORDER=row_major,"
                                 "THREADS=64,STAGES=1]",
                                 "tiny[SIZE=8,ELEMENT_TYPE_OF_INPUT=u8,FLAG=false,ORDER=row_major,"
                                 "THREADS=128,STAGES=1]"});
  Restriction pinned = kOne;
  pinned.emplace_back("THREADS", "32");
  CHECK(all(pinned).size() == 1);
  pinned.emplace_back("THREADS", "64");
  pinned.emplace_back("STAGES", "3");
  CHECK(all(pinned).size() == 2);
}

TEST_CASE_METHOD(DomainFixture, "a domain is enumerated lazily") {
  int seen = 0;
  domain({}).for_each([&](Signature&&) { return ++seen < 5; });
  CHECK(seen == 5);
}

TEST_CASE_METHOD(DomainFixture,
                 "a value given twice counts once, and what is no value is refused by name") {
  CHECK(domain({{"SIZE", "8"}, {"SIZE", "8"}}).combinations() == 12);
  const auto refused = [&](const char* name, const char* text) {
    try {
      domain({{name, text}});
    } catch (const jit::Error& error) {
      return error.code() == jit::ErrorCode::kInvalidArgument &&
             std::string_view(error.what()).find(name) != std::string_view::npos;
    }
    return false;
  };
  CHECK(refused("SIZE", "7"));
  CHECK(refused("SIZE", "large"));
  CHECK(refused("FLAG", "maybe"));
  CHECK(refused("NONE", "1"));
  CHECK(refused("num_tokens", "1"));
}
