// Callables in a library that is opened and closed. FUNCTIONS_BUILD tells two builds of it apart.
#include "wire/function/library.hpp"

#include "wire/function/definition.hpp"

namespace {

int add(int x, int y) { return x + y + 1000 * FUNCTIONS_BUILD; }

struct Shape {
  virtual ~Shape() = default;
  virtual int corners(int per_side) const { return per_side * FUNCTIONS_BUILD; }
};

#if FUNCTIONS_BUILD == 2
// Moves what follows, so that nothing is where it was.
[[gnu::used]] int padding(int x) { return x * x * x + 7; }
#endif

}  // namespace

extern "C" void define_in_library(int which, std::string& definition) {
  using brood::wire::testing::definition_of;
  switch (which) {
    case kLambda:
      definition = definition_of<int, int>([](int x, int y) { return x * y + 1000 * FUNCTIONS_BUILD; });
      return;
    case kFunction:
      definition = definition_of<int, int>(&add);
      return;
    case kBound:
      definition = definition_of<int>(brood::bind(&add, 40));
      return;
    case kMember:
      definition = definition_of<Figure, int>(&Figure::scaled);
      return;
    default:
      return;
  }
}

extern "C" int library_function(int x, int y) { return add(x, y); }
extern "C" int library_build() { return FUNCTIONS_BUILD + Shape().corners(0); }

int Figure::scaled(int by) const { return side * by + 1000 * FUNCTIONS_BUILD; }
