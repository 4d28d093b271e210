set(CUBINET_SOURCES_EMBED main.cpp table_writer.cpp)
