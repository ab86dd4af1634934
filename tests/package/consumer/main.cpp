#include <brood/error.hpp>
#include <brood/version.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>

// Uses a header, a symbol of the library, and an exception that crosses the library's border.
int main() {
  try {
    throw brood::WorkerDied(1, -9, 7);
  } catch (const std::runtime_error& error) {
    std::printf("brood %s: %s\n", brood::version(), error.what());
    return dynamic_cast<const brood::Error*>(&error) == nullptr ? 1 : 0;
  }
}
