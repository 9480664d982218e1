// Calls a function with text and a photo, by Java's own HttpClient (Java 16 and newer, no library):
// java Call.java http://localhost:5020/ rex.jpg answer

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodySubscribers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

public class Call {
    /** A multipart form (RFC 7578), which HttpClient does not have. Files are sent as they are read. */
    static final class Form {
        private final String boundary = UUID.randomUUID().toString();
        private final List<BodyPublisher> parts = new ArrayList<>();

        Form text(String name, String value) {
            return part("name=\"" + escaped(name) + "\"", "text/plain; charset=utf-8", BodyPublishers.ofString(value));
        }

        /** A value that is no text: numbers, lists and objects arrive as what they are. */
        Form json(String name, String json) {
            return part("name=\"" + escaped(name) + "\"", "application/json", BodyPublishers.ofString(json));
        }

        Form file(String name, Path path) throws IOException {
            String type = Files.probeContentType(path);
            String names = "name=\"" + escaped(name) + "\"; filename=\"" + escaped(path.getFileName().toString()) + "\"";
            return part(names, type == null ? "application/octet-stream" : type, BodyPublishers.ofFile(path));
        }

        HttpRequest.Builder to(URI address) {
            List<BodyPublisher> all = new ArrayList<>(parts);
            all.add(BodyPublishers.ofString("--" + boundary + "--\r\n"));
            return HttpRequest.newBuilder(address)
                    .header("Content-Type", "multipart/form-data; boundary=" + boundary)
                    .POST(BodyPublishers.concat(all.toArray(BodyPublisher[]::new)));
        }

        private Form part(String names, String type, BodyPublisher content) {
            String head = "--" + boundary + "\r\nContent-Disposition: form-data; " + names
                    + "\r\nContent-Type: " + type + "\r\n\r\n";
            parts.add(BodyPublishers.ofString(head));
            parts.add(content);
            parts.add(BodyPublishers.ofString("\r\n"));
            return this;
        }

        private static String escaped(String name) {
            return name.replace("\"", "%22").replace("\r", "%0D").replace("\n", "%0A");
        }
    }

    /** Keeps an answer in a file, and a refusal in memory. */
    static HttpResponse.BodyHandler<Object> to(Path kept) {
        return info -> info.statusCode() == 200
                ? BodySubscribers.mapping(BodySubscribers.ofFile(kept), path -> (Object) path)
                : BodySubscribers.mapping(BodySubscribers.ofString(StandardCharsets.UTF_8), text -> (Object) text);
    }

    public static void main(String[] arguments) throws IOException, InterruptedException {
        HttpClient client = HttpClient.newBuilder()
                .version(HttpClient.Version.HTTP_1_1)
                .connectTimeout(Duration.ofSeconds(10))
                .build();
        HttpRequest request = new Form()
                .text("name", "Rex")
                .json("owner", "{\"age\": 40}")
                .file("photo", Path.of(arguments[1]))
                .to(URI.create(arguments[0]))
                .build(); // .header("Authorization", "Bearer …") before it, where a token is asked for
        HttpResponse<Object> answer = client.send(request, to(Path.of(arguments[2])));
        if (answer.statusCode() != 200) {
            System.err.println(answer.statusCode() + " " + answer.body());
            System.exit(1);
        }
    }
}
