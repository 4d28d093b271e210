# cubinet_embed_templates(<target> <folder>... [SYMBOL <name>])
#
# Compiles the kernel templates below each <folder> (one folder each, with a manifest.json) into
# <target> as static tables; jit::get_kernel finds them by name. They are checked while building,
# and made again when a file below a <folder> changes, appears or goes.
#
# <target> links cubinet::jit. SYMBOL names the registration in the generated source; it is made
# from the target's name by default.
function(cubinet_embed_templates target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "SYMBOL" "")
  if(NOT arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "cubinet_embed_templates(${target}): no folder given")
  endif()

  set(folders)
  set(inputs)
  foreach(folder IN LISTS arg_UNPARSED_ARGUMENTS)
    cmake_path(ABSOLUTE_PATH folder BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}" NORMALIZE)
    if(NOT IS_DIRECTORY "${folder}")
      message(FATAL_ERROR "cubinet_embed_templates(${target}): ${folder} is no folder")
    endif()
    file(GLOB_RECURSE found CONFIGURE_DEPENDS LIST_DIRECTORIES OFF "${folder}/*")
    list(APPEND folders "${folder}")
    list(APPEND inputs ${found})
  endforeach()

  if(NOT arg_SYMBOL)
    string(MD5 digest "${folders}")
    string(SUBSTRING "${digest}" 0 8 digest)
    string(MAKE_C_IDENTIFIER "${target}_templates_${digest}" arg_SYMBOL)
  endif()
  set(output "${CMAKE_CURRENT_BINARY_DIR}/cubinet_embedded/${arg_SYMBOL}.cpp")
  add_custom_command(
    OUTPUT "${output}"
    COMMAND cubinet::embed --output "${output}" --register "${arg_SYMBOL}" ${folders}
    DEPENDS cubinet::embed ${inputs}
    COMMENT "Embedding kernel templates into ${target}"
    VERBATIM)
  file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/cubinet_embedded")
  target_sources(${target} PRIVATE "${output}")
endfunction()
