// Declarations: the constants, run-time values and buckets of a manifest.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "jit/template_table.hpp"
#include "signature/json_cursor.hpp"
#include "signature/table_arena.hpp"

namespace jit::inline v1 {

// DeclarationReader reads what a template declares; other parts of the manifest only refer to it.
// Lifetime: what it returns refers to `arena`. Errors: kInvalidTemplate, with file and pointer.
class DeclarationReader {
 public:
  explicit DeclarationReader(TableArena& arena) : arena_(arena) {}

  std::span<const table::ConstantDecl> constants(const JsonCursor& list);
  std::span<const table::RuntimeDecl> run_time(const JsonCursor& list);
  std::span<const table::BucketDecl> buckets(const JsonCursor& list,
                                             std::span<const table::RuntimeDecl> run_time);

  // The value at `cursor`, of the declared type and in the domain.
  Value value_of(const table::ConstantDecl& decl, const JsonCursor& cursor);
  static table::Range range(const JsonCursor& cursor);
  static Value label_of(const table::BucketDecl& bucket, const JsonCursor& cursor);

 private:
  std::string_view new_name(const JsonCursor& cursor);
  table::ConstantDecl constant(const JsonCursor& item);
  void read_type(const JsonCursor& item, table::ConstantDecl& decl);
  void read_values(const JsonCursor& values, table::ConstantDecl& decl);
  void read_candidates(const JsonCursor& list, table::ConstantDecl& decl);
  Value typed_value(const table::ConstantDecl& decl, const JsonCursor& cursor);
  table::BucketDecl bucket(const JsonCursor& item, std::span<const table::RuntimeDecl> run_time);
  std::span<const table::BucketStep> steps(const JsonCursor& list);
  table::BucketStep step(const JsonCursor& cursor, const std::vector<table::BucketStep>& before,
                         bool last);
  static std::uint32_t step_index(std::span<const table::BucketStep> steps,
                                  const JsonCursor& label);

  TableArena& arena_;
  std::set<std::string, std::less<>> names_;
};

}  // namespace jit::inline v1
