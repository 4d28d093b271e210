// Domain: all kernels that a template can make, one after the other.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "jit/template_table.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {

// Constants by name and text, as `--set` gives them. A constant that is given more than once may
// have any of those values.
using Restriction = std::vector<std::pair<std::string, std::string>>;

// The distinct signatures of some constants over every step of every bucket.
using ResolveAll = std::function<std::vector<Signature>(std::span<const Constant>)>;

// Every combination of shape constants over every step of every bucket, with the tunables that are
// chosen for them; tunables that the restriction names vary over its values. Nothing is held but
// the current combination.
class Domain {
 public:
  // Lifetime: refers to the template. Errors: kInvalidArgument for a constant or a value that the
  // template does not have, in the words of resolve().
  // Without `resolve` the selection table chooses.
  Domain(const table::Template& tmpl, const Restriction& restriction, ResolveAll resolve = {});

  // Combinations of constants, and bucket steps for each: at most so many kernels, times
  // the devices that tuning records tell apart. Both saturate.
  std::uint64_t combinations() const noexcept { return combinations_; }
  std::uint64_t bucket_steps() const noexcept { return bucket_steps_; }

  // Calls `visit` with each signature once, until it returns false.
  // Cost: about a microsecond per combination and step.
  void for_each(const std::function<bool(Signature&&)>& visit) const;
  // Exactly how many signatures there are. Cost: as for_each.
  std::uint64_t count() const;

 private:
  struct Axis {
    const table::ConstantDecl* decl;
    std::vector<Value> values;  // empty: the whole domain
    std::uint64_t size() const;
    Value value(std::uint64_t index) const;
  };

  const table::Template& tmpl_;
  ResolveAll resolve_;
  std::vector<Axis> axes_;
  std::uint64_t combinations_ = 1;
  std::uint64_t bucket_steps_ = 1;
};

}  // namespace jit::inline v1
