#include <brood/detail/function.hpp>

#include "wire/module.hpp"

namespace brood::wire {

void save_code(Writer& writer, const void* address) { save(writer, locate(address)); }

const void* load_code(Reader& reader) { return resolve(load<CodeAddress>(reader)); }

}  // namespace brood::wire
